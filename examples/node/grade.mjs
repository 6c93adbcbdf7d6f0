// Opens a .mango file without Python, checks it, and grades PNG images: docs/reference/bundle.md, written as code.
//
//     npm install
//     node grade.mjs model.mango [--policy full|exit:K|threshold] [image.png …]
//
// Prints a line of JSON for the golden images, one for each encoded original, and one for each image. Ends with exit
// code 1, before any image is graded, if the file is damaged or does not give its golden answers here.
//
// JPEG is left out: libjpeg decodes large ones at a reduced size, which no decoder in plain JavaScript does. Bind
// libjpeg-turbo (`scale_num` 1, `scale_denom` 1, 2, 4 or 8) and give its pixels to `fit`.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import ort from "onnxruntime-node";
import { PNG } from "pngjs";

const NEWEST_SCHEMA = 3;
const TOLERANCE = 1e-4; // of the golden probabilities
const PIXEL_TOLERANCE = 2; // grey levels of an encoded original
const ORIGINAL_TOLERANCE = 0.02; // of the probabilities that follow from them

// ---- the file

/** Return the parts of an uncompressed ZIP by their names. */
function unzip(file) {
  const end = file.length - 22;
  if (end < 0 || file.readUInt32LE(end) !== 0x06054b50) throw new Error("not a .mango file, or its end is missing");
  const parts = new Map();
  let entry = file.readUInt32LE(end + 16);
  for (let count = file.readUInt16LE(end + 10); count > 0; count--) {
    if (file.readUInt32LE(entry) !== 0x02014b50) throw new Error("the list of parts is damaged");
    const [method, size] = [file.readUInt16LE(entry + 10), file.readUInt32LE(entry + 24)];
    const [named, extra, comment] = [28, 30, 32].map((place) => file.readUInt16LE(entry + place));
    const name = file.toString("utf8", entry + 46, entry + 46 + named);
    if (method !== 0 || parts.has(name)) throw new Error(`${name} is compressed or there twice`);
    const local = file.readUInt32LE(entry + 42);
    const start = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
    parts.set(name, file.subarray(start, start + size));
    entry += 46 + named + extra + comment;
  }
  return parts;
}

/** Return the array of an .npy part: its shape, and its values in C order. */
function array(part) {
  const size = part.readUInt16LE(8);
  const header = part.toString("latin1", 10, 10 + size);
  const [, type, fortran, sizes] = /'descr': '(\|u1|<f4|<i4)', 'fortran_order': (True|False), 'shape': \((.*?)\)/.exec(header);
  if (fortran === "True") throw new Error("an array in Fortran order"); // No bundle of ours has one.
  const shape = sizes.split(",").filter((one) => one.trim()).map(Number);
  const bytes = Uint8Array.from(part.subarray(10 + size)).buffer; // Copied, so that it is aligned.
  const values = { "|u1": Uint8Array, "<f4": Float32Array, "<i4": Int32Array }[type];
  return { shape, values: new values(bytes) };
}

/** Open a .mango file: check every hash, and start one session for each stage. */
async function open(path) {
  const parts = unzip(await readFile(path));
  const manifest = JSON.parse(parts.get("manifest.json").toString("utf8"));
  if (manifest.schema > NEWEST_SCHEMA) throw new Error(`schema ${manifest.schema} is later than ${NEWEST_SCHEMA}`);
  const names = Object.keys(manifest.hashes);
  if (names.length !== parts.size - 1) throw new Error("its parts are not those that its manifest names");
  for (const name of names) {
    const hash = createHash("sha256").update(parts.get(name) ?? "").digest("hex");
    if (hash !== manifest.hashes[name]) throw new Error(`${name} is not what was written`);
  }
  const options = { executionProviders: ["cpu"], intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 };
  const stages = [];
  for (const name of manifest.stages.fp32) stages.push(await ort.InferenceSession.create(parts.get(name), options));
  return { manifest, parts, stages };
}

// ---- the network

/** Return softmax(logits / temperature). */
function softmax(logits, temperature) {
  const scaled = Array.from(logits, (value) => value / temperature);
  const largest = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((value) => value / sum);
}

/** Grade fitted pixels: return the probabilities of every exit that ran; `settled` says after which one to stop. */
async function answer({ manifest, stages }, pixels, settled) {
  const { height, width } = manifest.preprocess;
  let state = { images: new ort.Tensor("uint8", pixels, [1, height, width, 3]) };
  const history = [];
  for (const [index, stage] of stages.entries()) {
    const inputs = Object.fromEntries(stage.inputNames.map((name) => [name, state[name]]));
    state = await stage.run(inputs, stage.outputNames.filter((name) => name !== "features")); // Those are for heat maps.
    history.push(softmax(state.logits.data, manifest.exits[index].temperature));
    if (index + 1 < stages.length && settled(history)) break;
  }
  return history;
}

const best = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

/** By how much an exit is sure, 0 to 1, from the probabilities of exit 1 to it. */
const SIGNALS = {
  confidence: (history) => Math.max(...history.at(-1)),
  margin: (history) => {
    const [first, second] = [...history.at(-1)].sort((a, b) => b - a);
    return first - second;
  },
  entropy: (history) => {
    const newest = history.at(-1);
    const sum = newest.reduce((total, p) => total + (p > 0 ? p * Math.log(p) : 0), 0);
    return Math.min(Math.max(1 + sum / Math.log(newest.length), 0), 1);
  },
  agreement: (history) => {
    const [before, newest] = history.slice(-2);
    return newest && best(before) === best(newest) ? Math.max(...newest) : 0;
  },
};

/** Return the exit policy of a text, as a function of the probabilities so far. */
function policyOf(text, manifest) {
  if (text === "full") return () => false;
  const exit = /^exit:([1-9]\d*)$/.exec(text);
  if (exit && exit[1] <= manifest.exits.length) return (history) => history.length >= exit[1];
  const tuned = manifest.policies[text];
  if (!tuned) throw new Error(`this example has no exit policy ${text}; use full, exit:K or threshold`);
  // Before schema 3, thresholds are a list, of the confidence.
  const { signal, values } = Array.isArray(tuned) ? { signal: "confidence", values: tuned } : tuned;
  return (history) => SIGNALS[signal](history) >= values[history.length - 1];
}

// ---- the pixels

/** Return the upright RGB pixels of an 8-bit PNG, transparent parts laid over `fill`; EXIF is not read here. */
function decodePng(data, fill) {
  const { width, height, data: rgba } = PNG.sync.read(data);
  const rgb = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const alpha = rgba[pixel * 4 + 3];
    for (let channel = 0; channel < 3; channel++) {
      const sum = 128 * (rgba[pixel * 4 + channel] * alpha + fill[channel] * (255 - alpha)) + (0x80 << 7);
      rgb[pixel * 3 + channel] = ((sum >> 8) + sum) >> 15;
    }
  }
  return { width, height, rgb };
}

/** Return an image turned by 90° counter-clockwise. */
function turned({ width, height, rgb }) {
  const found = new Uint8Array(rgb.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++)
        found[((width - 1 - x) * height + y) * 3 + channel] = rgb[(y * width + x) * 3 + channel];
  return { width: height, height: width, rgb: found };
}

/** Return where each output pixel of one axis takes its inputs from, and their weights in 1 / 2²². */
function triangle(inside, outside) {
  const scale = inside / outside;
  const support = Math.max(scale, 1);
  return Array.from({ length: outside }, (_, place) => {
    const center = (place + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const last = Math.min(Math.trunc(center + support + 0.5), inside);
    const weights = [];
    for (let x = first; x < last; x++) weights.push(Math.max(0, 1 - Math.abs((x - center + 0.5) / support)));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => Math.trunc(0.5 + (weight / sum) * 2 ** 22)) };
  });
}

/** Resize one axis: `count` lines of `length` pixels, which lie `step` apart, `line` from one line to the next. */
function resizeAxis(from, to, size, lines) {
  for (const [place, { first, weights }] of triangle(size.from, size.to).entries())
    for (let line = 0; line < lines.count; line++)
      for (let channel = 0; channel < 3; channel++) {
        let sum = 2 ** 21;
        for (let x = 0; x < weights.length; x++)
          sum += from[(line * lines.from + (first + x) * size.step.from) * 3 + channel] * weights[x];
        const value = Math.min(Math.max(Math.floor(sum / 2 ** 22), 0), 255);
        to[(line * lines.to + place * size.step.to) * 3 + channel] = value;
      }
}

/** Resize as Pillow does with BILINEAR: first each row, then each column, rounded to whole grey levels in between. */
function resized({ width, height, rgb }, toWidth, toHeight) {
  let found = rgb;
  if (toWidth !== width) {
    found = new Uint8Array(toWidth * height * 3);
    resizeAxis(rgb, found, { from: width, to: toWidth, step: { from: 1, to: 1 } }, { count: height, from: width, to: toWidth });
  }
  if (toHeight !== height) {
    const before = found;
    found = new Uint8Array(toWidth * toHeight * 3);
    const step = { from: toWidth, to: toWidth };
    resizeAxis(before, found, { from: height, to: toHeight, step }, { count: toWidth, from: 1, to: 1 });
  }
  return found;
}

/** Return upright RGB pixels as the network takes them: turned, resized, and in the middle of the fill. */
function fit(image, preprocess) {
  if (preprocess.rotate_portrait && image.height > image.width) image = turned(image);
  const factor = Math.min(preprocess.width / image.width, preprocess.height / image.height);
  const width = Math.max(1, Math.floor(image.width * factor + 0.5));
  const height = Math.max(1, Math.floor(image.height * factor + 0.5));
  const inside = resized(image, width, height);
  const canvas = new Uint8Array(preprocess.height * preprocess.width * 3);
  for (let place = 0; place < canvas.length; place++) canvas[place] = preprocess.fill[place % 3];
  const left = Math.floor((preprocess.width - width) / 2);
  const top = Math.floor((preprocess.height - height) / 2);
  for (let y = 0; y < height; y++)
    canvas.set(inside.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * preprocess.width + left) * 3);
  return canvas;
}

// ---- the checks

const difference = (one, other) => one.reduce((most, value, place) => Math.max(most, Math.abs(value - other[place])), 0);

/** Return the largest difference of all exits to stored probabilities (exits, images, classes), for one image. */
async function deviation(model, pixels, stored, image) {
  const [, images, classes] = stored.shape;
  const history = await answer(model, pixels, () => false);
  const found = history.map((probabilities, exit) => {
    const start = (exit * images + image) * classes;
    return difference(probabilities, stored.values.subarray(start, start + classes));
  });
  return Math.max(...found);
}

/** Return what `condition` must be true of, or throw: NaN passes no comparison. */
function require(condition, what) {
  if (!condition) throw new Error(`the model does not give its stored answers here: ${what}`);
}

async function checkGolden(model) {
  const images = array(model.parts.get("golden/images.npy"));
  const stored = array(model.parts.get("golden/probabilities.npy"));
  const size = images.values.length / images.shape[0];
  let largest = 0;
  for (let image = 0; image < images.shape[0]; image++) {
    const found = await deviation(model, images.values.slice(image * size, (image + 1) * size), stored, image);
    require(found <= TOLERANCE, `golden image ${image} differs by ${found}`);
    largest = Math.max(largest, found);
  }
  return { golden: images.shape[0], exits: stored.shape[0], largest_difference: largest };
}

async function* checkOriginals(model) {
  const { preprocess, originals = [] } = model.manifest;
  if (!originals.length) return;
  const pixels = array(model.parts.get("encoded/pixels.npy"));
  const stored = array(model.parts.get("encoded/probabilities.npy"));
  const size = pixels.values.length / originals.length;
  for (const [index, name] of originals.entries()) {
    if (!name.endsWith(".png")) {
      yield { original: name, skipped: "only PNG is decoded here" };
      continue;
    }
    const found = fit(decodePng(model.parts.get(name), preprocess.fill), preprocess);
    const levels = difference(found, pixels.values.subarray(index * size, (index + 1) * size));
    const probability = await deviation(model, found, stored, index);
    require(levels <= PIXEL_TOLERANCE && probability <= ORIGINAL_TOLERANCE, `${name}: ${levels} grey levels, ${probability}`);
    yield { original: name, grey_levels: levels, largest_difference: probability };
  }
}

// ---- the command

const words = process.argv.slice(2);
const chosen = words.indexOf("--policy");
const [, policy] = chosen < 0 ? [] : words.splice(chosen, 2);
const [path, ...images] = words;
const say = (values) => console.log(JSON.stringify(values));
try {
  const model = await open(path);
  say(await checkGolden(model));
  for await (const row of checkOriginals(model)) say(row);
  const { manifest } = model;
  const settled = policyOf(policy ?? "full", manifest);
  for (const image of images) {
    const pixels = fit(decodePng(await readFile(image), manifest.preprocess.fill), manifest.preprocess);
    const history = await answer(model, pixels, settled);
    const probabilities = history.at(-1);
    const grade = best(probabilities);
    say({ path: image, grade: manifest.classes[grade], confidence: probabilities[grade], exit: history.length, probabilities });
  }
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
