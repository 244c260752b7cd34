"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const summary = data.summary;
const rows = data.rows.map((values) =>
  Object.fromEntries(data.columns.map((name, index) => [name, values[index]])));
for (const row of rows) row.method = `${row.codec} ${row.enlarger}`.trim();

const ORIGINAL = "original";
const METRICS = { psnr_rgb_db: "PSNR of RGB (dB)", psnr_y_db: "PSNR of Y (dB)", ms_ssim: "MS-SSIM", ssimulacra2: "SSIMULACRA 2" };
const RATES = { bpp_output: "bits per pixel of the output", bpp: "bits per coded pixel", stream_bytes: "bytes of the file" };
const COLOURS = ["#2b7bba", "#d9622b", "#1f9e78", "#b5609b", "#c29200", "#3fa7d6", "#808080", "#7a5cc4"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 4"];

const byId = (id) => document.getElementById(id);
const element = (name, properties = {}, children = []) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const fixed = (digits) => (value) => (value == null ? "" : value.toFixed(digits));
const signed = (digits) => (value) => (value == null ? "" : (value > 0 ? "+" : "") + value.toFixed(digits));
const whole = (value) => (value == null ? "" : Math.round(value).toLocaleString("en"));
const megabytes = (value) => (value == null ? "" : (value / 1e6).toFixed(0));

function fill(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => element("option", { value, textContent: text })));
  if (entries.some(([value]) => String(value) === String(chosen))) select.value = chosen;
}

/* Tables: a click on a heading sorts, another one turns the order round; empty cells stay last. */
function drawTable(container, columns, items) {
  let sorted = { column: null, falling: false };
  const head = element("tr");
  const body = element("tbody");
  const cell = (column, item) => element("td", {
    className: column.format ? "number" : "",
    textContent: column.format ? column.format(item[column.key]) : item[column.key] ?? "",
  });
  const draw = () => {
    const { column, falling } = sorted;
    const compare = (a, b) => {
      const [left, right] = [a[column.key], b[column.key]];
      if (left == null || right == null) return (left == null) - (right == null);
      const order = column.format ? left - right : String(left).localeCompare(right, "en", { numeric: true });
      return falling ? -order : order;
    };
    const list = column ? [...items].sort(compare) : items;
    body.replaceChildren(...list.map((item) => element("tr", {}, columns.map((c) => cell(c, item)))));
  };
  for (const column of columns) {
    const heading = element("th", { scope: "col", className: column.format ? "number" : "" });
    const button = element("button", { type: "button", textContent: column.title });
    button.addEventListener("click", () => {
      sorted = { column, falling: sorted.column === column && !sorted.falling };
      for (const other of head.children) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", sorted.falling ? "descending" : "ascending");
      draw();
    });
    heading.append(button);
    head.append(heading);
  }
  draw();
  container.replaceChildren(element("table", {}, [element("thead", {}, [head]), body]));
}

const measureColumns = (prefix) => [
  { key: "stream_bytes", title: "bytes", format: whole },
  { key: "bpp", title: "bpp coded", format: fixed(4) },
  { key: "bpp_output", title: "bpp output", format: fixed(4) },
  { key: "psnr_rgb_db", title: "PSNR RGB", format: fixed(3) },
  ...(prefix ? [{ key: "psnr_rgb_db_deviation", title: "± (std)", format: fixed(3) }] : []),
  { key: "psnr_y_db", title: "PSNR Y", format: fixed(3) },
  { key: "ms_ssim", title: "MS-SSIM", format: fixed(5) },
  { key: "ssimulacra2", title: "SSIMULACRA 2", format: fixed(2) },
  { key: "encode_s", title: "encode s", format: fixed(3) },
  { key: "decode_s", title: "decode s", format: fixed(3) },
  { key: "peak_memory_bytes", title: "peak MB", format: megabytes },
];
const known = (columns, items) => columns.filter((c) => items.some((item) => item[c.key] != null));

function drawMeans() {
  const items = summary.methods.flatMap((method) => method.points.map((point) => {
    const item = { method: method.name, rung: point.rung, pictures: point.pictures };
    for (const [name, spread] of Object.entries(point)) {
      if (spread && typeof spread === "object") {
        item[name] = spread.mean;
        item[`${name}_deviation`] = spread.deviation;
      }
    }
    return item;
  }));
  const columns = [{ key: "method", title: "method" }, { key: "rung", title: "rung", format: (v) => v ?? "" }, ...measureColumns(true)];
  drawTable(byId("means"), known(columns, items), items);
}

function drawRows() {
  const select = byId("rows-picture");
  const names = summary.pictures.map((picture) => picture.image);
  fill(select, [["", "all"], ...names.map((name) => [name, name])], names[0]);
  const draw = () => {
    const items = rows.filter((row) => !select.value || row.image === select.value);
    const columns = [{ key: "image", title: "picture" }, { key: "method", title: "method" },
      { key: "rung", title: "rung", format: (v) => v ?? "" }, { key: "quality", title: "quality", format: (v) => v ?? "" },
      ...measureColumns(false)];
    drawTable(byId("rows"), known(columns, items), items);
  };
  select.addEventListener("change", draw);
  draw();
}

function drawDeltas() {
  const anchor = byId("delta-anchor");
  const method = byId("delta-method");
  const anchors = new Set(summary.deltas.map((d) => d.anchor));
  fill(anchor, [...anchors].map((name) => [name, name]), data.anchor);
  fill(method, [...new Set(summary.deltas.map((d) => d.interpolation))].map((name) => [name, name]));
  const columns = [
    { key: "test", title: "method" },
    { key: "bd_rate_percent", title: "BD-rate %", format: signed(2) },
    { key: "bd_psnr_db", title: "BD-PSNR dB", format: signed(3) },
    { key: "bd_rate_ms_ssim_percent", title: "BD-rate % by MS-SSIM", format: signed(2) },
    { key: "low_db", title: "from dB", format: fixed(2) },
    { key: "high_db", title: "to dB", format: fixed(2) },
    { key: "reason", title: "none, because" },
  ];
  const draw = () => {
    const items = summary.deltas.filter((d) => d.anchor === anchor.value && d.interpolation === method.value);
    drawTable(byId("deltas"), known(columns, items), items);
  };
  anchor.addEventListener("change", draw);
  method.addEventListener("change", draw);
  draw();
}

/* Curves: an SVG in pixels of the screen; `view` is the part of the plane that is shown. */
const plot = { LEFT: 62, RIGHT: 12, TOP: 10, BOTTOM: 44, hidden: new Set(), view: null };

function styleOf(method) {
  const codecs = [...new Set(summary.methods.map((m) => m.codec))];
  const enlargers = [...new Set(summary.methods.map((m) => m.enlarger))];
  return {
    colour: method.codec === ORIGINAL ? "#808080" : COLOURS[codecs.indexOf(method.codec) % COLOURS.length],
    dash: DASHES[enlargers.indexOf(method.enlarger) % DASHES.length],
  };
}

function curvesShown() {
  const metric = byId("curve-metric").value;
  const rate = byId("curve-rate").value;
  return summary.methods.filter((m) => !plot.hidden.has(m.name)).map((method) => ({
    method,
    points: method.points.filter((p) => p[metric]?.mean != null)
      .map((p) => ({
        x: p[rate] == null ? null : Math.log10(p[rate].mean),
        y: p[metric].mean,
        error: (p[metric].deviation ?? 0) / Math.sqrt(p.pictures),
        rung: p.rung,
      }))
      .sort((a, b) => a.x - b.x),
  })).filter((curve) => curve.points.length);
}

function wholeView(curves) {
  const points = curves.flatMap((c) => c.points);
  const xs = points.map((p) => p.x).filter((x) => x != null);
  const span = (low, high) => {
    const margin = 0.05 * (high - low) || 0.5;
    return [low - margin, high + margin];
  };
  const [x0, x1] = xs.length ? span(Math.min(...xs), Math.max(...xs)) : [-1, 1];
  const [y0, y1] = points.length ? span(Math.min(...points.map((p) => p.y - p.error)), Math.max(...points.map((p) => p.y + p.error))) : [0, 1];
  return { x0, x1, y0, y1 };
}

function steps(low, high, count) {
  const raw = (high - low) / count;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = size * ([1, 2, 5, 10].find((f) => f * size >= raw) ?? 10);
  const list = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) list.push(n * step);
  return list;
}

/* Ticks of a logarithmic axis: 1, 2 and 5 of each power of ten, or even steps when zoomed in. */
function logTicks(low, high, count) {
  const list = [];
  const factors = high - low > count / 3 ? [1] : [1, 2, 5];
  for (let power = Math.floor(low); power <= high; power += 1) {
    for (const factor of factors) list.push(factor * 10 ** power);
  }
  const seen = list.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return seen.length > 2 ? seen : steps(10 ** low, 10 ** high, count);
}

function drawCurves() {
  const svg = byId("curves");
  const curves = curvesShown();
  plot.view ??= wholeView(curves);
  const { LEFT, RIGHT, TOP, BOTTOM } = plot;
  const [WIDTH, HEIGHT] = [svg.clientWidth, svg.clientHeight];
  const { x0, x1, y0, y1 } = plot.view;
  const atX = (x) => LEFT + ((x - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const atY = (y) => HEIGHT - BOTTOM - ((y - y0) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM);
  const make = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text != null) made.textContent = text;
    return made;
  };
  const short = (value) => String(Number(value.toPrecision(6)));
  const axes = make("g", {});
  for (const tick of logTicks(x0, x1, WIDTH / 90)) {
    const x = atX(Math.log10(tick));
    axes.append(make("line", { class: "grid", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }),
      make("text", { x, y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, short(tick)));
  }
  for (const tick of steps(y0, y1, 8)) {
    const y = atY(tick);
    axes.append(make("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }),
      make("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, short(tick)));
  }
  const rateName = RATES[byId("curve-rate").value];
  const metricName = METRICS[byId("curve-metric").value];
  axes.append(make("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, rateName),
    make("text", { x: 14, y: HEIGHT / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${HEIGHT / 2})` }, metricName));
  const inner = make("g", { "clip-path": "url(#plot-area)" });
  for (const { method, points } of curves) {
    const { colour, dash } = styleOf(method);
    const line = { class: "curve", stroke: colour, "stroke-dasharray": dash };
    if (method.codec === ORIGINAL) {
      const { y, error } = points[0];
      inner.append(
        make("rect", { x: LEFT, width: WIDTH - LEFT - RIGHT, y: atY(y + error), height: Math.max(atY(y - error) - atY(y + error), 0), fill: colour, opacity: 0.12 }),
        make("line", { ...line, x1: LEFT, x2: WIDTH - RIGHT, y1: atY(y), y2: atY(y) }));
      continue;
    }
    inner.append(make("polyline", { ...line, points: points.map((p) => `${atX(p.x)},${atY(p.y)}`).join(" ") }));
    for (const p of points) {
      const dot = make("circle", { cx: atX(p.x), cy: atY(p.y), r: 3.5, fill: colour });
      dot.append(make("title", {}, `${method.name} at ${p.rung}: ${short(10 ** p.x)} ${rateName}, ${short(p.y)} ${metricName}`));
      inner.append(make("line", { class: "curve", stroke: colour, opacity: 0.5, x1: atX(p.x), x2: atX(p.x), y1: atY(p.y - p.error), y2: atY(p.y + p.error) }), dot);
    }
  }
  const area = make("clipPath", { id: "plot-area" });
  area.append(make("rect", { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM }));
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("aria-label", `${metricName} over ${rateName}; the same figures stand in the table of means`);
  svg.replaceChildren(area, axes, inner);
}

/* Zoom by `factor` around a point given in shares of the plot's width and height. */
function zoomPlot(factor, shareX = 0.5, shareY = 0.5) {
  const { x0, x1, y0, y1 } = plot.view;
  const x = x0 + shareX * (x1 - x0);
  const y = y1 - shareY * (y1 - y0);
  plot.view = { x0: x + (x0 - x) * factor, x1: x + (x1 - x) * factor, y0: y + (y0 - y) * factor, y1: y + (y1 - y) * factor };
  drawCurves();
}

function movePlot(shareX, shareY) {
  const { x0, x1, y0, y1 } = plot.view;
  const [dx, dy] = [shareX * (x1 - x0), shareY * (y1 - y0)];
  plot.view = { x0: x0 + dx, x1: x1 + dx, y0: y0 + dy, y1: y1 + dy };
  drawCurves();
}

function setUpCurves() {
  const svg = byId("curves");
  const showWhole = () => { plot.view = null; drawCurves(); };
  const measured = (names) => Object.entries(names).filter(([name]) => summary.methods.some((m) => m.points.some((p) => p[name])));
  fill(byId("curve-metric"), measured(METRICS));
  fill(byId("curve-rate"), measured(RATES));
  window.addEventListener("resize", drawCurves);
  byId("curve-metric").addEventListener("change", showWhole);
  byId("curve-rate").addEventListener("change", showWhole);
  byId("curve-in").addEventListener("click", () => zoomPlot(0.7));
  byId("curve-out").addEventListener("click", () => zoomPlot(1 / 0.7));
  byId("curve-reset").addEventListener("click", showWhole);
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoomPlot(event.deltaY > 0 ? 1.15 : 1 / 1.15, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => svg.setPointerCapture(event.pointerId));
  svg.addEventListener("pointermove", (event) => {
    if (!svg.hasPointerCapture(event.pointerId)) return;
    const box = svg.getBoundingClientRect();
    movePlot(-event.movementX / box.width, event.movementY / box.height);
  });
  const keys = {
    "+": () => zoomPlot(0.7), "=": () => zoomPlot(0.7), "-": () => zoomPlot(1 / 0.7), 0: showWhole,
    ArrowLeft: () => movePlot(-0.1, 0), ArrowRight: () => movePlot(0.1, 0),
    ArrowUp: () => movePlot(0, 0.1), ArrowDown: () => movePlot(0, -0.1),
  };
  svg.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const method of summary.methods) {
    const button = element("button", { type: "button", textContent: method.name });
    button.setAttribute("aria-pressed", "true");
    button.style.borderLeftColor = styleOf(method).colour;
    button.addEventListener("click", () => {
      const shown = plot.hidden.delete(method.name) || !plot.hidden.add(method.name);
      button.setAttribute("aria-pressed", String(shown));
      drawCurves();
    });
    byId("legend").append(button);
  }
  drawCurves();
}

function drawCrossovers() {
  const items = summary.crossovers;
  byId("crossover-section").hidden = !items.length;
  const columns = [
    { key: "enlarged", title: "enlarged" },
    { key: "direct", title: "direct" },
    { key: "bpp_output", title: "overtakes at bpp", format: fixed(4) },
    { key: "psnr_rgb_db", title: "PSNR RGB", format: fixed(2) },
    { key: "low_bpp", title: "from bpp", format: fixed(4) },
    { key: "high_bpp", title: "to bpp", format: fixed(4) },
    { key: "reason", title: "nowhere, because" },
  ];
  drawTable(byId("crossovers"), known(columns, items), items);
}

/* The shares of the time that the processes of the last run had. */
function timingText() {
  const { processes, units, wall_s, shares_percent } = summary.timing;
  if (!units) return "";
  const shares = Object.entries(shares_percent).map(([name, percent]) => `${name} ${percent.toFixed(1)} %`);
  return ` The last run: ${units} units of work in ${wall_s.toFixed(1)} s by ${processes} ${processes === 1 ? "process" : "processes"}, `
    + `${shares.join(", ")}.`;
}

/* The viewer: two cut-outs over each other, the left one clipped at the divider. */
const REFERENCE = "the picture itself";
const viewer = { share: 0.5, zoom: 2, left: null, right: null };

const rowsOf = (picture, method) => (method === REFERENCE
  ? [{ method, view: "reference", rung: null }]
  : rows.filter((row) => row.image === picture && row.method === method));

function pointText(row) {
  if (row.stream_bytes == null) return "–";
  return `${row.rung} (${whole(row.stream_bytes)} bytes)`;
}

/* Which row has the bytes or the PSNR nearest to those of another one; null where it has none. */
function nearest(candidates, row, match) {
  const key = match === "bytes" ? "stream_bytes" : "psnr_rgb_db";
  if (match === "free" || row?.[key] == null || !candidates.length || candidates.some((c) => c[key] == null)) return null;
  const gaps = candidates.map((c) => Math.abs(Math.log(c[key] / row[key])));
  return gaps.indexOf(Math.min(...gaps));
}

function fillPoints(side) {
  const list = rowsOf(byId("view-picture").value, byId(`${side}-method`).value);
  const select = byId(`${side}-point`);
  const before = select.selectedIndex;
  fill(select, list.map((row, index) => [index, pointText(row)]));
  select.selectedIndex = before < 0 ? list.length >> 1 : Math.min(before, list.length - 1);
}

function showPair() {
  const picture = byId("view-picture").value;
  const match = byId("view-match").value;
  const rowAt = (side) => rowsOf(picture, byId(`${side}-method`).value)[byId(`${side}-point`).selectedIndex];
  viewer.left = rowAt("left");
  const matched = nearest(rowsOf(picture, byId("right-method").value), viewer.left, match);
  if (matched != null) byId("right-point").selectedIndex = matched;
  byId("right-point").disabled = matched != null;
  viewer.right = rowAt("right");
  for (const side of ["left", "right"]) {
    const row = viewer[side];
    const image = byId(`${side}-image`);
    const method = byId(`${side}-method`).value;
    image.hidden = !row; // a codec may have no file of a picture that is as small as was asked for
    image.alt = `${picture}: ${method}`;
    if (row) image.src = data.views[picture][row.view];
    byId(`${side}-caption`).textContent = row ? caption(row) : `${method}: no file of this picture`;
  }
}

function caption(row) {
  if (row.method === REFERENCE) return REFERENCE;
  const parts = [row.method];
  if (row.stream_bytes != null) parts.push(`${whole(row.stream_bytes)} bytes`, `${row.bpp_output.toFixed(4)} bpp`);
  if (row.psnr_rgb_db != null) parts.push(`${row.psnr_rgb_db.toFixed(2)} dB`);
  if (row.ms_ssim != null) parts.push(`MS-SSIM ${row.ms_ssim.toFixed(4)}`);
  return parts.join(", ");
}

/* The divider stays where it is on the screen while the sheet below scrolls. */
function placeDivider() {
  const scene = byId("scene");
  const sheet = byId("sheet");
  const position = Math.min(viewer.share * scene.clientWidth, sheet.offsetWidth);
  const divider = byId("divider");
  divider.style.left = `${position}px`;
  divider.setAttribute("aria-valuenow", String(Math.round(100 * viewer.share)));
  byId("left-image").style.clipPath = `inset(0 calc(100% - ${scene.scrollLeft + position}px) 0 0)`;
}

function moveDivider(share) {
  viewer.share = Math.min(Math.max(share, 0), 1);
  placeDivider();
}

/* Zoom in screen pixels a sample; what is in the middle stays there. */
function zoomTo(zoom) {
  const scene = byId("scene");
  const sheet = byId("sheet");
  const image = byId(byId("right-image").hidden ? "left-image" : "right-image");
  const shareOf = (scroll, size, full) => (full ? (scroll + size / 2) / full : 0.5);
  const x = shareOf(scene.scrollLeft, scene.clientWidth, sheet.offsetWidth);
  const y = shareOf(scene.scrollTop, scene.clientHeight, sheet.offsetHeight);
  viewer.zoom = zoom;
  sheet.style.width = `${image.naturalWidth * zoom}px`;
  sheet.style.height = `${image.naturalHeight * zoom}px`;
  scene.scrollLeft = x * sheet.offsetWidth - scene.clientWidth / 2;
  scene.scrollTop = y * sheet.offsetHeight - scene.clientHeight / 2;
  for (const button of byId("view-zoom").children) {
    button.setAttribute("aria-pressed", String(button.textContent === `${zoom}×`));
  }
  placeDivider();
}

function setUpDivider() {
  const divider = byId("divider");
  const scene = byId("scene");
  const follow = (event) => moveDivider((event.clientX - scene.getBoundingClientRect().left) / scene.clientWidth);
  divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) follow(event);
  });
  divider.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: viewer.share - 0.02, ArrowRight: viewer.share + 0.02, Home: 0, End: 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moveDivider(moves[event.key]);
  });
  scene.addEventListener("scroll", placeDivider);
  window.addEventListener("resize", placeDivider);
}

function setUpViewer() {
  const pictures = Object.keys(data.views);
  if (!pictures.length) {
    byId("viewer").hidden = true;
    return;
  }
  const coded = summary.methods.map((method) => method.name);
  const methods = [...coded, REFERENCE].map((name) => [name, name]);
  const real = summary.methods.filter((method) => method.codec !== ORIGINAL).map((method) => method.name);
  fill(byId("view-picture"), pictures.map((name) => [name, name]));
  fill(byId("left-method"), methods, real[0]);
  fill(byId("right-method"), methods, data.anchor === real[0] || !coded.includes(data.anchor) ? real[1] ?? REFERENCE : data.anchor);
  const refresh = () => { fillPoints("left"); fillPoints("right"); showPair(); };
  for (const id of ["view-picture", "left-method", "right-method"]) byId(id).addEventListener("change", refresh);
  for (const id of ["left-point", "right-point", "view-match"]) byId(id).addEventListener("change", showPair);
  for (const zoom of [1, 2, 4, 8]) {
    const button = element("button", { type: "button", textContent: `${zoom}×` });
    button.addEventListener("click", () => zoomTo(zoom));
    byId("view-zoom").append(button);
  }
  // Its size is known when it is there, and only cut-outs of small pictures differ in size.
  for (const side of ["left", "right"]) byId(`${side}-image`).addEventListener("load", () => zoomTo(viewer.zoom));
  setUpDivider();
  refresh();
}

function setUpPage() {
  const count = summary.pictures.length;
  byId("about").textContent = `Task ${summary.task}, ${count} ${count === 1 ? "picture" : "pictures"}, ${rows.length} measurements, cdsrcodec ${summary.version}.${timingText()}`;
  const failures = Object.values(summary.failures);
  byId("failures").hidden = !failures.length;
  byId("failures").textContent = failures.map((text) => `Left out: ${text}`).join("\n");
  const { version, task, codecs, enlargers } = summary;
  byId("settings").textContent = JSON.stringify({ version, task, codecs, enlargers }, null, 2);
  setUpCurves();
  drawDeltas();
  drawCrossovers();
  setUpViewer();
  drawMeans();
  drawRows();
}

setUpPage();
