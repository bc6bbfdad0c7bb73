// "Try it": puts the trained nets in the place of their still picture. engine.js runs them.
// What is shown: an image that can be shifted, shuffled and drawn on; what each net answers; the maps of a first layer.
(() => {
  "use strict";
  const holder = document.getElementById("fig-try"), source = document.getElementById("try-it-data");
  const data = JSON.parse(source?.textContent || '{"nets": []}'), still = holder?.querySelector("img");
  if (!still || !data.nets.length) return;

  const [channels, height, width] = data.shape, [black, white] = data.range, empty = 0; // the margin's value
  const CELL = 12, LISTED = 12, CLASSES = 10; // pixels of a cell; classes that are all listed; else the most probable
  const BRUSH = Math.min(height, width) > 20 ? 2 : 1; // cells along its side
  const MAGMA = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];
  const images = data.images.map(image => ({ data: engine.numbersOf(image), shape: data.shape }));
  const nets = data.nets.map(net => ({ ...net, ...engine.load(net) }));
  // The stride of a net's first layer, if it has maps.
  for (const net of nets) net.stride = net.layers.find(layer => layer.stride)?.stride;
  const withMaps = nets.filter(net => net.stride);

  // The image that was chosen, with what was drawn on it, where it is shifted to, and what the pointer does.
  const state = {
    number: 0, pixels: null, label: 0, down: 0, right: 0, shuffled: false,
    tool: "move", cursor: [0, 0], net: withMaps[0],
  };

  // ---- what is on the page

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const percent = share => `${Math.round(100 * share)}\u00a0%`;

  const thumbnails = images.map((image, number) => {
    const picture = make("canvas", { "aria-hidden": "true" });
    paint(picture, image, 1);
    const label = `Test image ${number + 1}: ${data.classes[data.images[number].label]}`;
    const attributes = { type: "button", "aria-label": label, title: label, onclick: () => choose(number) };
    return make("button", attributes, picture);
  });

  const canvas = make("canvas", {
    tabindex: 0, role: "application", "aria-roledescription": "image", "aria-describedby": "try-keys",
    onpointerdown: press, onpointermove: drag, onkeydown: key, onfocus: update, onblur: update,
  });
  const tools = { move: "Shift", draw: "Draw", erase: "Erase" };
  const toolbox = make("fieldset", { class: "try-tools" }, make("legend", {}, "The pointer and the arrow keys"),
    ...Object.entries(tools).map(([tool, name]) => make("label", {},
      make("input", { type: "radio", name: "try-tool", value: tool, checked: tool === "move" ? "" : null,
        onchange: () => { state.tool = tool; update(); } }), name)));
  const shuffle = make("button", { type: "button", "aria-pressed": "false",
    onclick: () => { state.shuffled = !state.shuffled; update(); } }, "Shuffle");
  const reset = make("button", { type: "button", onclick: () => choose(state.number) }, "Reset");
  const clear = make("button", { type: "button", onclick: wipe }, "Clear");
  const where = make("p", { class: "try-where" });
  const keys = make("p", { class: "try-keys", id: "try-keys" });

  const cards = nets.map(net => {
    const answer = make("p", { class: "try-answer" }), bars = make("div", { class: "try-bars" });
    const card = make("section", { class: "try-card", "aria-label": net.name }, make("h4", {}, net.name),
      make("p", { class: "try-note" }, `${net.size}; right on ${net.accuracy} of all test images`), answer, bars);
    return { card, answer, bars };
  });
  const live = make("p", { class: "try-live", "aria-live": "polite" });

  const chooser = make("select", { id: "try-net", onchange: chooseMaps },
    ...withMaps.map(net => make("option", {}, net.name)));
  const compare = make("input", { type: "checkbox", onchange: update });
  const tiles = make("div", { class: "try-tiles", role: "img" });
  const mapsNote = make("p", { class: "try-note" });
  const maps = make("div", { class: "try-maps" },
    make("div", { class: "try-maps-head" },
      make("label", { for: "try-net" }, "Maps of the first layer of "), chooser,
      make("label", {}, compare, " what a shift changes in them")), tiles, mapsNote);

  const app = make("div", { class: "try" },
    make("div", { class: "try-images", role: "group", "aria-label": "Test images" }, ...thumbnails),
    make("div", { class: "try-body" },
      make("div", { class: "try-input" }, canvas, where, toolbox,
        make("div", { class: "try-buttons" }, shuffle, reset, clear), keys),
      make("div", { class: "try-cards" }, ...cards.map(({ card }) => card))),
    ...withMaps.length ? [maps] : [], live);

  // ---- what a reader does

  function choose(number) {
    const { data: pixels, shape } = images[number];
    Object.assign(state, { number, pixels: { data: pixels.slice(), shape }, label: data.images[number].label });
    Object.assign(state, { down: 0, right: 0, shuffled: false, cursor: [height >> 1, width >> 1] });
    update();
  }

  function chooseMaps() {
    state.net = withMaps[chooser.selectedIndex];
    update();
  }

  function wipe() {
    state.pixels.data.fill(empty);
    Object.assign(state, { down: 0, right: 0, label: null });
    update();
  }

  const within = (value, low, high) => Math.max(low, Math.min(high, value));
  const inImage = (row, column) => [within(row, 0, height - 1), within(column, 0, width - 1)];

  function shiftTo(down, right) {
    Object.assign(state, { down: within(down, 1 - height, height - 1), right: within(right, 1 - width, width - 1) });
    update();
  }

  // Draw on or erase the cells of the brush whose upper left one is (row, column) of the image as it is shown.
  function stroke(row, column) {
    const side = state.shuffled ? 1 : BRUSH;
    const below = Math.min(row + side, height), beyond = Math.min(column + side, width);
    for (let y = row; y < below; y++) for (let x = column; x < beyond; x++) {
      const shown = y * width + x, place = state.shuffled ? data.order[shown] : shown;
      const under = [Math.floor(place / width) - state.down, place % width - state.right];
      if (under[0] < 0 || under[1] < 0 || under[0] >= height || under[1] >= width) continue;
      for (let channel = 0; channel < channels; channel++) {
        state.pixels.data[(channel * height + under[0]) * width + under[1]] = state.tool === "draw" ? white : empty;
      }
    }
    state.cursor = [row, column];
    update();
  }

  let start = null; // where the pointer went down, and the shift at that moment

  function cellAt(event) {
    const box = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * height);
    const column = Math.floor((event.clientX - box.left) / box.width * width);
    return inImage(row, column);
  }

  function press(event) {
    canvas.setPointerCapture(event.pointerId);
    start = { cell: cellAt(event), down: state.down, right: state.right };
    if (state.tool !== "move") stroke(...start.cell);
  }

  function drag(event) {
    if (!event.buttons || !start) return;
    const [row, column] = cellAt(event);
    if (state.tool !== "move") stroke(row, column);
    else shiftTo(start.down + row - start.cell[0], start.right + column - start.cell[1]);
  }

  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  function key(event) {
    const step = STEPS[event.key], [row, column] = state.cursor;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (step && state.tool === "move") shiftTo(state.down + step[0], state.right + step[1]);
    else if (step) {
      state.cursor = inImage(row + step[0], column + step[1]);
      update();
    } else if ((event.key === " " || event.key === "Enter") && state.tool !== "move") stroke(row, column);
    else return;
    event.preventDefault();
  }

  // ---- what the page shows

  function paint(canvas, image, cell) {
    canvas.width = width * cell; canvas.height = height * cell;
    const context = canvas.getContext("2d"), area = height * width;
    for (let place = 0; place < area; place++) {
      const levelOf = value => 255 * (value - black) / (white - black);
      const levels = Array.from({ length: channels }, (_, channel) => levelOf(image.data[channel * area + place]));
      const mean = levels.reduce((sum, level) => sum + level, 0) / channels;
      const [red, green, blue] = channels === 3 ? levels : [mean, mean, mean];
      context.fillStyle = `rgb(${red} ${green} ${blue})`;
      context.fillRect(place % width * cell, Math.floor(place / width) * cell, cell, cell);
    }
    return context;
  }

  function paintInput(image) {
    const context = paint(canvas, image, CELL);
    context.fillStyle = "rgb(128 128 128 / 35%)";
    for (let row = 1; row < height; row++) context.fillRect(0, row * CELL, canvas.width, 1);
    for (let column = 1; column < width; column++) context.fillRect(column * CELL, 0, 1, canvas.height);
    if (state.tool !== "move" && document.activeElement === canvas) {
      context.strokeStyle = "#e69f00"; context.lineWidth = 3;
      context.strokeRect(state.cursor[1] * CELL + 1, state.cursor[0] * CELL + 1, CELL - 2, CELL - 2);
    }
  }

  function sentence() {
    const moves = [[state.down, "down", "up"], [state.right, "right", "left"]].filter(([by]) => by)
      .map(([by, one, other]) => `${Math.abs(by)} ${by > 0 ? one : other}`);
    const parts = [state.label === null ? "Your own drawing" : data.classes[state.label]];
    if (moves.length) parts.push(`shifted ${moves.join(", ")}`);
    if (state.shuffled) parts.push("pixels shuffled");
    return parts.join("; ");
  }

  function showAnswer({ card, answer, bars }, probabilities) {
    const best = probabilities.indexOf(Math.max(...probabilities)), isRight = best === state.label;
    const mark = state.label === null ? "" : isRight ? " ✓" : " ✗";
    card.dataset.probabilities = JSON.stringify(probabilities);
    card.classList.toggle("wrong", state.label !== null && !isRight);
    answer.replaceChildren(make("strong", {}, data.classes[best]), ` ${percent(probabilities[best])}${mark}`);
    let listed = probabilities.map((_, label) => label);
    if (listed.length > LISTED) {
      listed = listed.sort((one, other) => probabilities[other] - probabilities[one]).slice(0, CLASSES);
    }
    bars.replaceChildren(...listed.map(label => {
      const bar = make("span", { class: "try-bar" }, make("span"));
      bar.firstChild.style.width = `${100 * probabilities[label]}%`;
      const name = make("span", { class: "try-class", title: data.classes[label] }, data.classes[label]);
      const share = make("span", {}, percent(probabilities[label]));
      return make("div", { class: label === state.label ? "true" : "" }, name, bar, share);
    }));
    return `${data.classes[best]}, ${percent(probabilities[best])}`;
  }

  function paintMap(map, channel, low, high) {
    const [, rows, columns] = map.shape, picture = make("canvas", { width: columns, height: rows });
    const context = picture.getContext("2d"), pixels = context.createImageData(columns, rows);
    for (let place = 0; place < rows * columns; place++) {
      const brightness = (map.data[channel * rows * columns + place] - low) / (high - low || 1);
      const level = within(brightness, 0, 1) * (MAGMA.length - 1);
      const stop = Math.min(Math.floor(level), MAGMA.length - 2), share = level - stop;
      MAGMA[stop].forEach((value, part) => {
        pixels.data[4 * place + part] = value + share * (MAGMA[stop + 1][part] - value);
      });
      pixels.data[4 * place + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    return picture;
  }

  // Of the maps of a shifted image, minus the maps of the image, shifted: away from the border, which a padding changes
  // and at which pixels come in, the absolute difference; elsewhere 0. Returns also its share of the maps' size.
  function difference(net, map, unshifted) {
    const reach = Math.max(0, ...net.layers.find(layer => layer.op === "pad")?.sides ?? []);
    const down = state.down / net.stride[0], right = state.right / net.stride[1], [, rows, columns] = map.shape;
    const isInside = (place, size, shift) =>
      place >= Math.max(0, shift) + reach && place < size + Math.min(0, shift) - reach;
    const expected = engine.shifted(engine.run(net, unshifted).first, down, right);
    let sum = 0, whole = 0;
    const data = map.data.map((value, place) => {
      const row = Math.floor(place / columns) % rows, column = place % columns;
      if (!isInside(row, rows, down) || !isInside(column, columns, right)) return 0;
      sum += (value - expected.data[place]) ** 2;
      whole += expected.data[place] ** 2;
      return Math.abs(value - expected.data[place]);
    });
    return { shown: { data, shape: map.shape }, share: Math.sqrt(sum / (whole || 1)) };
  }

  // The maps or, where the box is ticked, what a shift changes in them.
  function showMaps(map, unshifted) {
    const { net, down, right } = state, isMoved = down || right;
    const isWhole = down % net.stride[0] === 0 && right % net.stride[1] === 0;
    const low = Math.min(0, ...map.data), high = Math.max(...map.data);
    let shown = map;
    let note = "Bright is a large value; all maps have one scale. Shift the image, and see whether they move with it.";
    if (isMoved && isWhole) {
      const change = difference(net, map, unshifted);
      note = "Away from the border, the maps of the shifted image differ from the shifted maps";
      note += ` by ${percent(change.share)} of their size.`;
      if (compare.checked) {
        shown = change.shown;
        note += " Bright is a large difference.";
      }
    } else if (isMoved) {
      const step = Math.max(...net.stride);
      note = `This layer has a stride: only a shift by a multiple of ${step} moves its maps by whole places.`;
    } else if (compare.checked) note = "Shift the image, and see what changes in the maps.";
    tiles.setAttribute("aria-label", `${map.shape[0]} feature maps of the ${net.name}. ${note}`);
    tiles.classList.toggle("few", map.shape[0] <= 4);
    tiles.replaceChildren(...Array.from({ length: map.shape[0] }, (_, channel) => paintMap(shown, channel, low, high)));
    mapsNote.textContent = note;
  }

  function show() {
    const view = image => state.shuffled ? engine.rearranged(image, data.order) : image;
    const image = view(engine.shifted(state.pixels, state.down, state.right));
    paintInput(image);
    thumbnails.forEach((button, number) => {
      button.setAttribute("aria-pressed", number === state.number && state.label !== null);
    });
    shuffle.setAttribute("aria-pressed", state.shuffled);
    where.textContent = sentence();
    keys.textContent = state.tool === "move"
      ? "Drag the image, or focus it and press the arrow keys: it moves by whole pixels."
      : "Drag over the image, or focus it: the arrow keys move the brush, the space bar uses it.";
    canvas.setAttribute("aria-label", `Image for the nets: ${sentence()}`);
    const spoken = nets.map((net, place) => {
      const { probabilities, first } = engine.run(net, image);
      if (net === state.net) showMaps(first, view(state.pixels));
      return `${net.name}: ${showAnswer(cards[place], probabilities)}.`;
    });
    clearTimeout(show.timer);
    show.timer = setTimeout(() => { live.textContent = `${sentence()}. ${spoken.join(" ")}`; }, 600);
  }

  let isWaiting = false; // for the next frame: several changes are shown at once

  function update() {
    if (!isWaiting) requestAnimationFrame(() => { isWaiting = false; show(); });
    isWaiting = true;
  }

  (still.closest("p") ?? still).after(app);
  still.classList.add("try-still");
  choose(0);
  show();
})();
