// Runs a trained net on one image. The figures stage describes a net as a list of simple layers
// (stages/figures/net_layers.py says which); there is one function here for each. No part of the browser is used,
// so that the tests can run this file anywhere.
//
// A map is { data, shape }: a Float32Array, and [channels, height, width]. Data lie channel by channel, row by row.
const engine = (() => {
  "use strict";

  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const VALUES = new Uint8Array(128);
  [...ALPHABET].forEach((letter, value) => { VALUES[letter.charCodeAt(0)] = value; });

  function bytesOf(base64) {
    const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
    const bytes = new Uint8Array(base64.length / 4 * 3 - padding);
    for (let from = 0, to = 0; from < base64.length; from += 4) {
      let word = 0;
      for (let place = 0; place < 4; place++) word = word << 6 | VALUES[base64.charCodeAt(from + place)];
      for (let shift = 16; shift >= 0 && to < bytes.length; shift -= 8) bytes[to++] = word >> shift & 255;
    }
    return bytes;
  }

  // The value of a float16, given its bits.
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  const HALVES = Float32Array.from({ length: 65536 }, (_, bits) => half(bits));

  // Numbers as the figures stage stores them: float16, float32, uint8, or int8 with a scale for each row.
  function numbersOf({ type, data, scales }) {
    const bytes = bytesOf(data);
    if (type === "uint8") return Float32Array.from(bytes);
    if (type === "float32") return new Float32Array(bytes.buffer);
    if (type === "float16") return Float32Array.from(new Uint16Array(bytes.buffer), bits => HALVES[bits]);
    const factors = numbersOf(scales), row = bytes.length / factors.length;
    return Float32Array.from(new Int8Array(bytes.buffer), (value, place) => value * factors[Math.floor(place / row)]);
  }

  // A net with its numbers decoded.
  function load(net) {
    const tensors = {};
    for (const [name, tensor] of Object.entries(net.tensors)) {
      tensors[name] = { data: numbersOf(tensor), shape: tensor.shape };
    }
    return { layers: net.layers, tensors };
  }

  const empty = shape => ({ data: new Float32Array(shape.reduce((product, size) => product * size, 1)), shape });

  // f(value, channel) of every value.
  function eachValue(map, f) {
    const out = empty(map.shape), perChannel = map.data.length / map.shape[0];
    for (let i = 0; i < map.data.length; i++) out.data[i] = f(map.data[i], Math.floor(i / perChannel));
    return out;
  }

  // A map that has at (y, x) of each channel what `map` has at (row(y), column(x)); -1 stands for a zero.
  function picked(map, height, width, row, column) {
    const [channels, oldHeight, oldWidth] = map.shape, out = empty([channels, height, width]);
    const columns = Array.from({ length: width }, (_, x) => column(x));
    let to = 0;
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < height; y++) {
        const from = row(y) < 0 ? -1 : (channel * oldHeight + row(y)) * oldWidth;
        for (let x = 0; x < width; x++, to++) {
          if (from >= 0 && columns[x] >= 0) out.data[to] = map.data[from + columns[x]];
        }
      }
    }
    return out;
  }

  // Which of `size` places a padding shows at `place`, which may lie outside.
  const EDGES = {
    zero: (place, size) => place < 0 || place >= size ? -1 : place,
    reflect: (place, size) => place < 0 ? -place : place >= size ? 2 * (size - 1) - place : place,
    circular: (place, size) => (place + size) % size,
    replicate: (place, size) => Math.min(Math.max(place, 0), size - 1),
  };

  function padded(map, mode, [top, bottom, left, right]) {
    const [, height, width] = map.shape, edge = EDGES[mode];
    return picked(map, height + top + bottom, width + left + right,
      y => edge(y - top, height), x => edge(x - left, width));
  }

  // How many places a window has along an axis.
  const places = (size, kernel, stride, dilation) => Math.floor((size - dilation * (kernel - 1) - 1) / stride) + 1;

  function convolution({ stride, dilation, groups }, { weight, bias }, map) {
    const [outputs, inputs, rows, columns] = weight.shape, [, height, width] = map.shape;
    const newHeight = places(height, rows, stride[0], dilation[0]);
    const newWidth = places(width, columns, stride[1], dilation[1]);
    const out = empty([outputs, newHeight, newWidth]), area = newHeight * newWidth;
    for (let output = 0; output < outputs; output++) {
      const start = output * area, firstInput = Math.floor(output / (outputs / groups)) * inputs;
      if (bias) out.data.fill(bias.data[output], start, start + area);
      for (let input = 0; input < inputs; input++) for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
        const factor = weight.data[((output * inputs + input) * rows + i) * columns + j];
        for (let y = 0, to = start; y < newHeight; y++) {
          let from = ((firstInput + input) * height + y * stride[0] + i * dilation[0]) * width + j * dilation[1];
          for (let x = 0; x < newWidth; x++, to++, from += stride[1]) out.data[to] += factor * map.data[from];
        }
      }
    }
    return out;
  }

  // A convolution whose filter differs from tile to tile of its output.
  function local({ kernel, stride, dilation, tile }, { weight, bias }, map) {
    const [, fanIn, outputs] = weight.shape, [channels, height, width] = map.shape;
    const newHeight = places(height, kernel[0], stride[0], dilation[0]);
    const newWidth = places(width, kernel[1], stride[1], dilation[1]);
    const tileHeight = Math.min(tile[0], newHeight), tileWidth = Math.min(tile[1], newWidth);
    const out = empty([outputs, newHeight, newWidth]), area = newHeight * newWidth, sums = new Float64Array(outputs);
    for (let y = 0; y < newHeight; y++) for (let x = 0; x < newWidth; x++) {
      const number = Math.floor(y / tileHeight) * Math.ceil(newWidth / tileWidth) + Math.floor(x / tileWidth);
      for (let output = 0; output < outputs; output++) sums[output] = bias.data[number * outputs + output];
      let from = number * fanIn * outputs;
      for (let i = 0; i < kernel[0]; i++) for (let j = 0; j < kernel[1]; j++) {
        const pixel = (y * stride[0] + i * dilation[0]) * width + x * stride[1] + j * dilation[1];
        for (let channel = 0; channel < channels; channel++) {
          const value = map.data[channel * height * width + pixel];
          for (let output = 0; output < outputs; output++) sums[output] += value * weight.data[from++];
        }
      }
      for (let output = 0; output < outputs; output++) out.data[output * area + y * newWidth + x] = sums[output];
    }
    return out;
  }

  function dense(_, { weight, bias }, map) {
    const [outputs, inputs] = weight.shape, out = empty([outputs, 1, 1]);
    for (let output = 0; output < outputs; output++) {
      let sum = bias.data[output];
      for (let input = 0; input < inputs; input++) sum += weight.data[output * inputs + input] * map.data[input];
      out.data[output] = sum;
    }
    return out;
  }

  function affine(_, { weight, bias }, map) {
    return eachValue(map, (value, channel) => value * weight.data[channel] + bias.data[channel]);
  }

  function groupNorm({ groups, eps }, tensors, map) {
    const out = empty(map.shape), size = map.data.length / groups;
    for (let group = 0; group < groups; group++) {
      const values = map.data.subarray(group * size, (group + 1) * size);
      const mean = values.reduce((sum, value) => sum + value, 0) / size;
      const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
      values.forEach((value, i) => { out.data[group * size + i] = (value - mean) / Math.sqrt(variance + eps); });
    }
    return affine(null, tensors, out);
  }

  // Abramowitz and Stegun 1964, 7.1.26; the error is below 2e-7.
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  }

  const ACTIVATIONS = {
    relu: value => Math.max(value, 0),
    gelu: value => value * (1 + erf(value / Math.SQRT2)) / 2,
    tanh: Math.tanh,
  };

  const REDUCTIONS = {
    max: values => Math.max(...values),
    average: values => values.reduce((sum, value) => sum + value, 0) / values.length,
  };

  // f of the values in each window of `rows` × `columns`.
  function overWindows(map, rows, columns, stride, f) {
    const [channels, height, width] = map.shape, values = new Float32Array(rows * columns);
    const out = empty([channels, places(height, rows, stride[0], 1), places(width, columns, stride[1], 1)]);
    const [, newHeight, newWidth] = out.shape;
    let to = 0;
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < newHeight; y++) for (let x = 0; x < newWidth; x++) {
        for (let i = 0, n = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
          values[n++] = map.data[(channel * height + y * stride[0] + i) * width + x * stride[1] + j];
        }
        out.data[to++] = f(values);
      }
    }
    return out;
  }

  function pool({ kind, size: [rows, columns] }, _, map) {
    if (kind !== "blur") return overWindows(map, rows, columns, [rows, columns], REDUCTIONS[kind]);
    const height = Math.floor(map.shape[1] / rows) * rows, width = Math.floor(map.shape[2] / columns) * columns;
    const cropped = picked(map, height, width, y => y, x => x);
    const wider = padded(cropped, "replicate", [0, rows - 1, 0, columns - 1]);
    const largest = overWindows(wider, rows, columns, [1, 1], REDUCTIONS.max);
    // [1, 2, 1] / 4 along each axis that is pooled.
    const above = rows > 1 ? 1 : 0, beside = columns > 1 ? 1 : 0;
    const blur = reach => reach ? [0.25, 0.5, 0.25] : [1];
    const factors = blur(above).flatMap(factor => blur(beside).map(other => factor * other));
    const blurred = values => values.reduce((sum, value, i) => sum + value * factors[i], 0);
    const framed = padded(largest, "replicate", [above, above, beside, beside]);
    return overWindows(framed, 2 * above + 1, 2 * beside + 1, [rows, columns], blurred);
  }

  const OPS = {
    normalise: ({ mean, std }, _, map) => eachValue(map, (value, channel) => (value - mean[channel]) / std[channel]),
    pad: ({ mode, sides }, _, map) => padded(map, mode, sides),
    convolution, local, dense, affine, group_norm: groupNorm, pool,
    activation: ({ kind }, _, map) => eachValue(map, ACTIVATIONS[kind]),
    global: ({ kind }, _, map) => overWindows(map, map.shape[1], map.shape[2], [1, 1], REDUCTIONS[kind]),
  };

  // What a loaded net makes of an image, a map of pixels: the probability of each class, and the map after the first
  // activation (of a fully connected net, its units).
  function run(net, image) {
    let map = image, first = null;
    for (const layer of net.layers) {
      map = OPS[layer.op](layer, { weight: net.tensors[layer.weight], bias: net.tensors[layer.bias] }, map);
      if (layer.op === "activation") first ??= map;
    }
    const largest = map.data.reduce((one, other) => Math.max(one, other), -Infinity);
    const grown = Array.from(map.data, value => Math.exp(value - largest));
    const total = grown.reduce((sum, value) => sum + value, 0);
    return { probabilities: grown.map(value => value / total), first };
  }

  // A map moved by (down, right); zeros come in.
  function shifted(map, down, right) {
    const [, height, width] = map.shape;
    return picked(map, height, width, y => EDGES.zero(y - down, height), x => EDGES.zero(x - right, width));
  }

  // A map whose pixel i, in every channel, is what `map` has at order[i].
  function rearranged(map, order) {
    const out = empty(map.shape), size = order.length;
    for (let i = 0; i < map.data.length; i++) out.data[i] = map.data[Math.floor(i / size) * size + order[i % size]];
    return out;
  }

  return { load, numbersOf, run, shifted, rearranged, eachValue };
})();
