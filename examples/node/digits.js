// The digits from Node: node digits.js ADDON.node MODEL.fz IMAGES.npy
'use strict';
const fs = require('fs');
const path = require('path');

const [addonPath, modelPath, imagesPath] = process.argv.slice(2);
const frozen = require(path.resolve(addonPath));

const file = fs.readFileSync(imagesPath);
const start = 10 + file.readUInt16LE(8);
const images = new Float32Array(16 * 64);
Buffer.from(images.buffer).set(file.subarray(start, start + images.byteLength));

const scores = frozen.run(frozen.open(modelPath), images, [16, 1, 8, 8]);
const digits = [];
for (let i = 0; i < scores.length; i += 10) {
  const row = scores.subarray(i, i + 10);
  digits.push(row.indexOf(Math.max(...row)));
}
console.log(digits.join(' '));
console.log(frozen.sha256(scores));
