// Plots of results, drawn from GET /jobs/{id}/analysis. The page's tables have the same numbers without it.

const MAF = ["<0.1 %", "0.1–0.5", "0.5–1", "1–5", "5–50 %"];
const kept = new Map();

function load(id) {
  if (!kept.has(id)) kept.set(id, fetch(`/jobs/${id}/analysis`, { headers: { Accept: "application/json" } }).then((r) => (r.ok ? r.json() : null)).then((a) => a?.result ?? null).catch(() => null));
  return kept.get(id);
}
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (n) => token(`--plot-${n + 1}`);
const sumColumns = (rows) => Array.from({ length: 50 }, (_, i) => rows.reduce((n, row) => n + row[2 * i] + row[2 * i + 1], 0));

const count = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");
const short = (v) => (v >= 1e6 ? `${v / 1e6} M` : v >= 1000 ? `${v / 1000} k` : `${v}`);
function axis(extra) {
  return { stroke: token("--muted"), grid: { stroke: token("--line"), width: 1 }, ticks: { stroke: token("--line") }, font: "12px Inter, sans-serif", labelFont: "12px Inter, sans-serif", labelSize: 20, ...extra };
}
function frame(area, options, data) {
  area.hidden = false;
  area.replaceChildren();
  return new window.uPlot({ width: area.clientWidth, height: 280, legend: { show: false }, cursor: { drag: { x: false, y: false } }, ...options }, data, area);
}
function cuts(u) {
  u.ctx.save();
  u.ctx.strokeStyle = token("--line-strong");
  u.ctx.setLineDash([5, 5]);
  for (const cut of [0.3, 0.5, 0.8]) {
    const x = u.valToPos(cut, "x", true);
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
  }
  u.ctx.restore();
}

const draw = {
  r2(area, results) {
    const x = Array.from({ length: 50 }, (_, i) => i / 50 + 0.01);
    const counts = results.map((r) => sumColumns(r.r2_by_maf));
    const one = counts.length === 1;
    const data = [x, ...counts];
    const series = [{}, ...counts.map((_, n) => ({ stroke: colour(n), width: one ? 0 : 2, fill: one ? colour(n) : undefined, points: { show: false }, paths: one ? window.uPlot.paths.bars({ size: [0.85, 40] }) : undefined }))];
    if (one) {
      const total = counts[0].reduce((a, b) => a + b, 0) || 1;
      let sum = 0;
      data.push(counts[0].map((n) => ((sum += n) / total) * 100));
      series.push({ stroke: colour(1), width: 2, scale: "%", points: { show: false } });
    }
    const axes = [axis({ label: "R²" }), axis({ label: "Sites", size: 60, values: (_, v) => v.map(short) })];
    if (one) axes.push(axis({ scale: "%", side: 1, size: 44, label: "Share of sites, cumulative (%)", grid: { show: false } }));
    return frame(area, { scales: { x: { time: false, range: [0, 1] }, y: { range: (_, _lo, hi) => [0, hi * 1.05 || 1] }, "%": { range: [0, 100] } }, axes, series, hooks: { draw: [cuts] } }, data);
  },
  maf(area, results) {
    const n = results.length;
    const x = [0, 1, 2, 3, 4];
    const data = [x, ...results.map((r) => r.maf.slice(0, 5).map((row) => row.mean_r2))];
    const bars = (u) => {
      const step = u.valToPos(1, "x", true) - u.valToPos(0, "x", true);
      const width = (step * 0.7) / n;
      results.forEach((r, k) => r.maf.slice(0, 5).forEach((row, i) => {
        if (row.mean_r2 === null) return;
        const y = u.valToPos(row.mean_r2, "y", true);
        u.ctx.fillStyle = colour(k);
        u.ctx.fillRect(u.valToPos(i, "x", true) - step * 0.35 + k * width, y, width - 2, u.bbox.top + u.bbox.height - y);
      }));
    };
    const series = [{}, ...results.map(() => ({ paths: () => null, points: { show: false } }))];
    return frame(area, { scales: { x: { time: false, range: [-0.5, 4.5] }, y: { range: [0, 1] } }, axes: [axis({ label: "Minor allele frequency (%)", splits: () => x, values: (_, v) => v.map((i) => MAF[i]), grid: { show: false } }), axis({ label: "Mean R²" })], series, hooks: { draw: [bars] } }, data);
  },
  frequencies(area, results) {
    const counts = results[0].frequencies;
    const x = counts.map((_, i) => (i + 0.5) / counts.length);
    const bars = { stroke: colour(0), width: 0, fill: colour(0), points: { show: false }, paths: window.uPlot.paths.bars({ size: [0.85, 60] }) };
    return frame(area, { scales: { x: { time: false, range: [0, 1] }, y: { range: (_, _lo, hi) => [0, hi * 1.05 || 1] } }, axes: [axis({ label: "Frequency of the ALT allele" }), axis({ label: "Sites", size: 60, values: (_, v) => v.map(short) })], series: [{}, bars] }, [x, counts]);
  },
  windows(area, results) {
    const box = area.parentElement;
    let select = box.querySelector("select");
    const names = [...new Set(results.flatMap((r) => r.windows.map((w) => w.chromosome)))];
    if (!select && names.length > 1) {
      select = document.createElement("select");
      select.setAttribute("aria-label", "Chromosome");
      select.append(...names.map((name) => new Option(`Chromosome ${name}`, name)));
      select.addEventListener("change", () => draw.windows(area, results));
      area.before(select);
    }
    const name = select?.value ?? names[0];
    const means = results.map((r) => new Map(r.windows.filter((w) => w.chromosome === name).map((w) => [w.start_mb, w.mean_r2])));
    const starts = means.flatMap((of) => [...of.keys()]);
    const [first, last] = starts.length ? [Math.min(...starts), Math.max(...starts)] : [0, 0];
    // Each megabase has its place, so that a line ends where nothing was imputed.
    const places = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const series = [{}, ...results.map((_, n) => ({ stroke: colour(n), width: 2, points: { show: true, size: 6, fill: colour(n) } }))];
    return frame(area, { scales: { x: { time: false, range: [first, last + 1] }, y: { range: [0, 1] } }, axes: [axis({ label: `Position on chromosome ${name} (Mb)` }), axis({ label: "Mean R²" })], series }, [places.map((mb) => mb + 0.5), ...means.map((of) => places.map((mb) => of.get(mb) ?? null))]);
  },
  typed(area, results) {
    const grid = results[0].er2_by_r2;
    const most = Math.log1p(Math.max(...grid.flat()));
    const cells = (u) => {
      u.ctx.save();
      u.ctx.fillStyle = colour(0);
      grid.forEach((row, y) => row.forEach((n, x) => {
        if (!n) return;
        u.ctx.globalAlpha = 0.2 + 0.8 * (Math.log1p(n) / most);
        const [left, top] = [u.valToPos(x / 20, "x", true), u.valToPos((y + 1) / 20, "y", true)];
        u.ctx.fillRect(left, top, u.valToPos((x + 1) / 20, "x", true) - left - 1, u.valToPos(y / 20, "y", true) - top - 1);
      }));
      u.ctx.restore();
    };
    return frame(area, { scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1] } }, axes: [axis({ label: "R²" }), axis({ label: "ER²" })], series: [{}, { paths: () => null, points: { show: false } }], hooks: { draw: [cells] } }, [[0, 1], [0, 1]]);
  },
};

function savePng(area, name) {
  const source = area.querySelector("canvas");
  const canvas = Object.assign(document.createElement("canvas"), { width: source.width, height: source.height });
  const ctx = canvas.getContext("2d");
  ctx.fillStyle = token("--surface");
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.drawImage(source, 0, 0);
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

async function drawAll() {
  for (const box of document.querySelectorAll("[data-plot]")) {
    const results = await Promise.all(box.dataset.jobs.split(",").map(load));
    if (!results.every(Boolean)) continue; // with one missing, names and colours would go wrong; the tables are there
    const area = box.querySelector(".plot-area");
    draw[box.dataset.plot](area, results);
    const legend = box.querySelector(".plot-legend");
    const names = [...document.querySelectorAll("#compared td.lead-cell")].map((cell) => cell.textContent);
    if (results.length > 1) {
      legend.hidden = false;
      legend.replaceChildren(...results.map((_, n) => {
        const item = document.createElement("span");
        const dot = document.createElement("span");
        dot.className = "dot";
        dot.dataset.n = n;
        item.append(dot, ` ${names[n]}`);
        return item;
      }));
    }
    const png = box.querySelector("[data-png]");
    png.hidden = false;
    png.onclick = () => savePng(area, box.dataset.plot);
  }
  const keep = document.querySelector("[data-keep]");
  const loaded = keep && (await Promise.all(keep.dataset.keep.split(",").map(load)));
  if (loaded?.every(Boolean)) wire(keep, loaded);
}

/** Let a slider and a choice tell how many variants of each job stay; each `[data-kept]` is one job's. */
function wire(box, results) {
  const [slider, choice, said] = [box.querySelector("#keep-r2"), box.querySelector("#keep-maf"), [...box.querySelectorAll("[data-kept]")]];
  for (const part of box.querySelectorAll("[data-keep-controls]")) part.hidden = false;
  const tell = () => {
    const bin = Number(choice.value);
    const from = Math.round(slider.value * 100);
    box.querySelector("output").textContent = Number(slider.value).toFixed(2);
    results.forEach((result, place) => {
      const rows = bin ? result.r2_by_maf.slice(bin, 5) : result.r2_by_maf;
      const n = rows.reduce((sum, row) => sum + row.slice(from).reduce((a, b) => a + b, 0), 0);
      const share = `${((100 * n) / (result.with_r2 || 1)).toFixed(1)} %`;
      said[place].textContent = results.length > 1 ? `${count(n)} (${share})` : `${count(n)} of ${count(result.with_r2)} variants kept (${share})`;
      said[place].hidden = false;
    });
  };
  slider.oninput = tell;
  choice.onchange = tell;
  tell();
}

drawAll();
let timer = 0;
const again = () => { clearTimeout(timer); timer = setTimeout(drawAll, 150); };
addEventListener("resize", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
document.body.addEventListener("htmx:afterSettle", (event) => { if (event.detail.elt.id === "analysis") { kept.clear(); drawAll(); } });
