"""Inputs that the proof of quantisation makes: lines and pages of text, speech-like sound."""
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


def page_image(rng, size=480):
    """A page of a few lines: 1 x 3 x size x size, normalised as the detector takes it."""
    paper = int(rng.integers(200, 256))
    image = Image.new('RGB', (size, size), (paper, paper, paper))
    draw, y = ImageDraw.Draw(image), int(rng.integers(10, 50))
    while y < size - 60:
        face = font(rng, int(rng.integers(18, 34)))
        ink = int(rng.integers(0, 80))
        draw.text((int(rng.integers(8, 60)), y), text_line(rng), font=face, fill=(ink, ink, ink))
        y += int(rng.integers(45, 90))
    x = np.asarray(image, np.float32) / 255
    mean, spread = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(((x - mean) / spread).transpose(2, 0, 1)[None].astype(np.float32))


def sound(rng, seconds, rate=16000):
    """Vowels and hisses between pauses: harmonics of a gliding pitch under formants, and noise."""
    parts, done = [], 0
    while done < seconds * rate:
        n = int(rng.uniform(0.15, 0.6) * rate)
        t = np.arange(n) / rate
        kind = rng.integers(0, 4)
        envelope = np.sin(np.pi * np.arange(n) / n) ** 0.5
        if kind < 2:
            pitch = rng.uniform(90, 240) * (1 + 0.15 * np.sin(2 * np.pi * rng.uniform(1, 4) * t))
            phase, wave = 2 * np.pi * np.cumsum(pitch) / rate, np.zeros(n)
            formants = rng.uniform([300, 900, 2200], [800, 1900, 3000])
            for h in range(1, 30):
                gain = sum(np.exp(-((h * pitch.mean() - f) / 180) ** 2) for f in formants) + 0.02
                wave += gain / h ** 0.5 * np.sin(h * phase)
            part = 0.25 * wave / (np.abs(wave).max() + 1e-9) * envelope
        elif kind == 2:
            part = 0.05 * rng.normal(size=n) * envelope
        else:
            part = 0.001 * rng.normal(size=n)
        parts.append(part)
        done += n
    return np.concatenate(parts)[:int(seconds * rate)].astype(np.float32)
