"""Inputs that the proof of quantisation makes: lines and pages of text, speech."""
import subprocess

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_FOLDER = '/usr/share/fonts/truetype/dejavu/'
FONTS = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf', 'DejaVuSerif.ttf', 'DejaVuSansMono.ttf']
WORDS = ('the of and to in is that for with was frozen model quick brown fox jumps over lazy dog Paris 2026 '
         'bits kernel matrix invoice total 1,024 amount 99.95 EUR street number Berlin river garden 42 '
         'window yellow question answer public private Zurich level 7 signal noise report page').split()


def font(rng, size):
    for name in rng.permutation(FONTS):
        try:
            return ImageFont.truetype(FONT_FOLDER + name, size)
        except OSError:
            continue
    raise SystemExit('the DejaVu fonts are not installed (apt-get install fonts-dejavu)')


def text_line(rng):
    return ' '.join(rng.choice(WORDS, int(rng.integers(1, 5))))


def line_image(rng, text):
    """One line as the recogniser takes it: 1 x 3 x 48 x W in [-1, 1], inked and papered at random."""
    face = font(rng, int(rng.integers(24, 36)))
    _, _, width, height = face.getbbox(text)
    paper, ink = int(rng.integers(180, 256)), int(rng.integers(0, 90))
    image = Image.new('RGB', (width + 12, 48), (paper, paper, int(rng.integers(170, 256))))
    ImageDraw.Draw(image).text((6, (48 - height) // 2 - 2), text, font=face, fill=(ink, ink, ink))
    x = np.asarray(image, np.float32) + rng.normal(0, 4, (48, width + 12, 3)).astype(np.float32)
    return np.ascontiguousarray(((x.clip(0, 255) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None])


def page_image(rng, size=736):
    """A page of a few lines: 1 x 3 x size x size, normalised as the detector takes it. 736 is what
    its usual pipeline enlarges smaller pages to."""
    paper, zoom = int(rng.integers(200, 256)), size / 480
    image = Image.new('RGB', (size, size), (paper, paper, paper))
    draw, y = ImageDraw.Draw(image), int(rng.integers(10, 50) * zoom)
    while y < size - 60 * zoom:
        face = font(rng, int(rng.integers(18, 34) * zoom))
        ink = int(rng.integers(0, 80))
        draw.text((int(rng.integers(8, 60) * zoom), y), text_line(rng), font=face, fill=(ink, ink, ink))
        y += int(rng.integers(45, 90) * zoom)
    x = np.asarray(image, np.float32) / 255
    mean, spread = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(((x - mean) / spread).transpose(2, 0, 1)[None].astype(np.float32))


def speech(rng, lines, rate=16000):
    """Sentences that espeak-ng says in several voices, between pauses, in some noise."""
    parts = []
    for _ in range(lines):
        words = ' '.join(text_line(rng) for _ in range(3))
        voice, speed, pitch = rng.choice(['en', 'en-us', 'de', 'fr']), rng.integers(120, 200), rng.integers(20, 80)
        said = subprocess.run(['espeak-ng', '-v', voice, '-s', str(speed), '-p', str(pitch), '--stdout', words],
                              capture_output=True, check=True).stdout
        wave = np.frombuffer(said[44:len(said) // 2 * 2], np.int16).astype(np.float32) / 32768
        old = int.from_bytes(said[24:28], 'little')
        times = np.arange(int(len(wave) * rate / old)) * old / rate
        parts += [rng.uniform(0.3, 0.8) * np.interp(times, np.arange(len(wave)), wave),
                  np.zeros(int(rng.uniform(0.3, 1.5) * rate))]
    sound = np.concatenate(parts)
    return (sound + rng.normal(0, 0.002, len(sound))).astype(np.float32)
