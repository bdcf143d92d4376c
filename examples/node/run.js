// Digits from Node, through the addon frozen.node beside this file: node run.js MODEL.fz IMAGES.npy
'use strict';
const fs = require('fs');
const frozen = require('./frozen.node');

const [modelPath, imagesPath] = process.argv.slice(2);
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
console.log('digits', digits.join(' '));
console.log('output', frozen.sha256(scores));
