/* Draws the charts of a page from the JSON that analysis/pagedata.h describes (element "data") and
 * filters them. Needs vega, vega-lite and vega-embed. Charts are drawn when they come into view. */
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const colours = data.methods.map((m) => m.colour);
  const dashes = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
  const labels = data.methods.map((m) => m.label);
  const seeds = [...new Set(data.runs.map((r) => r.seed))].sort((a, b) => a - b);
  const shown = { methods: new Set(labels), seeds: new Set(seeds), layer: "", task: data.tasks.length ? 0 : null };

  for (const chart of data.charts) {
    chart.layer = chart.of.split("/")[0];
    for (const series of chart.series || []) series.x = chart.x[series.x];
  }

  /* ---- what a chart shows of its series */

  const method = (series) => labels[data.runs[series.r].m];
  const isShown = (series) =>
    shown.methods.has(method(series)) && shown.seeds.has(data.runs[series.r].seed);

  function byMethod(chart) {
    const groups = new Map();
    for (const series of chart.series.filter(isShown)) {
      const name = method(series);
      groups.set(name, [...(groups.get(name) || []), series]);
    }
    return groups;
  }

  /* Fewer seeds give intervals too wide to read: then the band is the range of the seeds. */
  const average = (y) => y.reduce((a, b) => a + b, 0) / y.length;

  function interval(y) {
    const mean = average(y);
    if (y.length < data.least_seeds) return { mean, low: Math.min(...y), high: Math.max(...y) };
    const squares = y.reduce((a, b) => a + (b - mean) ** 2, 0);
    const half = data.t[y.length] * Math.sqrt(squares / (y.length - 1) / y.length);
    return { mean, low: mean - half, high: mean + half };
  }

  /* An interval by formula may leave what a share can be. */
  const within = (chart, v) => (chart.unit === "%" ? Math.min(100, Math.max(0, v)) : v);

  /* Mean over the seeds shown, with its Student t interval or the range; on logarithms where the
   * ordinate is one. */
  function curves(chart) {
    const rows = [], [to, from] = chart.log ? [Math.log, Math.exp] : [(v) => v, (v) => v];
    for (const [name, group] of byMethod(chart)) {
      const longest = group.reduce((a, b) => (b.x.length > a.x.length ? b : a));
      longest.x.forEach((x, i) => {
        const y = group.map((s) => s.y[i]).filter((v) => Number.isFinite(v) && !(chart.log && v <= 0));
        if (!y.length) return;
        const { mean, low, high } = interval(y.map(to));
        rows.push({ step: x, method: name, mean: from(mean), low: within(chart, from(low)),
                    high: within(chart, from(high)), seeds: y.length });
      });
    }
    return rows;
  }

  const published = (chart) =>
    chart.published.filter((k) => shown.methods.has(labels[k.m])).flatMap((k) =>
      k.x.map((x, i) => ({ step: x, method: labels[k.m], value: k.y[i] })));

  /* Bands and heat maps show one seed: the smallest one shown. */
  const firstOf = (chart) => [...byMethod(chart).values()].map((group) => group[0]);

  function bands(chart) {
    return firstOf(chart).flatMap((s) =>
      s.x.map((x, i) => {
        const [p5, p15, p50, p85, p95] = s.y[i];
        return { step: x, method: method(s), p5, p15, p50, p85, p95 };
      }));
  }

  /* Densities stand above their step; the highest one reaches over two steps. */
  function ridges(chart) {
    const all = firstOf(chart), [low, high] = chart.span;
    const most = Math.max(...all.flatMap((s) => s.y.flat()).filter(Number.isFinite));
    const steps = all.length ? all.reduce((a, b) => (b.x.length > a.x.length ? b : a)).x : [];
    const values = all.flatMap((s) =>
      s.x.flatMap((step, i) => s.y[i].map((density, k) => ({
        step, method: method(s), value: low + ((k + 0.5) * (high - low)) / s.y[i].length,
        density, base: -i, top: -i + (2 * density) / most }))));
    return { values, steps };
  }

  function cells(chart) {
    return firstOf(chart).flatMap((s) =>
      s.x.flatMap((x, i) =>
        s.y[i].map((value, k) => ({ step: x, row: chart.rows[k], method: method(s), value }))));
  }

  const ofMethods = (rows) => rows.filter((row) => shown.methods.has(labels[row.m]))
    .map((row) => ({ method: labels[row.m], ...row }));

  /* ---- pictures */

  const step = { field: "step", type: "quantitative", title: "step", axis: { tickCount: 5 } };
  const key = { symbolType: "stroke", symbolOpacity: 1, symbolStrokeWidth: 2.5 };
  const colour = { field: "method", type: "nominal", title: null,
                   scale: { domain: labels, range: colours }, legend: key };
  const unlabelled = { ...colour, legend: null };
  const dash = {
    field: "method", type: "nominal", title: null, legend: key,
    scale: { domain: labels, range: labels.map((_, i) => dashes[Math.floor(i / 7) % dashes.length]) },
  };
  const ordinate = (chart) => ({ type: "quantitative", title: chart.unit || null,
                                 scale: chart.log ? { type: "log", nice: false } : { zero: false } });

  /* A number line of the values of a key where they are numbers, logarithmic where they span much. */
  function abscissa(chart) {
    const values = chart.values.map(Number);
    if (!values.every(Number.isFinite))
      return { field: "value", type: "ordinal", title: chart.of, sort: chart.values, axis: { labelAngle: 0 } };
    const wide = Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) >= 5;
    return { field: "value", type: "quantitative", title: chart.of, axis: { values, format: "~r" },
             scale: { nice: false, padding: 20, ...(wide ? { type: "log" } : { zero: false }) } };
  }

  /* Places to hover over: more would cost more to draw than the curves. */
  const HOVERED = 50;
  const sparse = (rows) => {
    const stride = Math.ceil(rows.length / labels.length / HOVERED);
    return rows.filter((_, i) => i % stride === 0);
  };

  const tooltips = (...fields) => fields.map((field) =>
    ["method", "value"].includes(field) ? { field, type: "nominal" }
      : { field, type: "quantitative", format: ".5~g" });

  const kinds = {
    forest(chart) {
      const values = ofMethods(chart.rows);
      const x = { type: "quantitative", title: chart.unit || null,
                  scale: chart.log ? { type: "log" } : { zero: false } };
      const runs = values.flatMap(({ method, values }) => values.map((value) => ({ method, value })));
      const layer = [
        { mark: { type: "rule", strokeWidth: 2.5 },
          encoding: { x: { ...x, field: "low" }, x2: { field: "high" } } },
        { data: { values: runs }, mark: { type: "point", filled: true, size: 22, opacity: 0.45 },
          encoding: { x: { ...x, field: "value" } } },
        { mark: { type: "point", filled: true, size: 90, opacity: 1, tooltip: true },
          encoding: { x: { ...x, field: "mean" },
                      tooltip: tooltips("method", "mean", "low", "high") } },
      ];
      if (chart.ref !== null)
        layer.unshift({ mark: { type: "rule", strokeDash: [3, 3], color: "#777" },
                        encoding: { x: { ...x, datum: chart.ref }, y: { value: 0 },
                                    y2: { value: "height" }, color: { value: "#777" } } });
      return { width: "container", height: 30 * values.length, data: { values },
               encoding: { y: { field: "method", type: "nominal", title: null, sort: labels,
                                axis: { labelLimit: 220, domain: false, ticks: false, grid: true } },
                           color: unlabelled }, layer };
    },
    view(chart) {
      const y = ordinate(chart);
      const values = ofMethods(chart.rows).map((row) => ({ ...row, value: chart.values[row.k] }));
      return { width: "container", height: 240, data: { values },
               encoding: { x: abscissa(chart), color: colour },
               layer: [
                 { mark: { type: "line", strokeWidth: 1.7 },
                   encoding: { y: { ...y, field: "mean" }, strokeDash: dash } },
                 { mark: { type: "rule", strokeWidth: 1.5 },
                   encoding: { y: { ...y, field: "low" }, y2: { field: "high" } } },
                 { mark: { type: "point", filled: true, size: 50, opacity: 1, tooltip: true },
                   encoding: { y: { ...y, field: "mean" },
                               tooltip: tooltips("method", "value", "mean", "low", "high", "runs",
                                                 "diverged") } }] };
    },
    line(chart) {
      const y = ordinate(chart), values = curves(chart);
      const layer = [
        { mark: { type: "area", opacity: 0.18 },
          encoding: { y: { ...y, field: "low" }, y2: { field: "high" } } },
        { mark: { type: "line", strokeWidth: 1.7 },
          encoding: { y: { ...y, field: "mean" }, strokeDash: dash } },
        { data: { values: sparse(values) },
          mark: { type: "point", opacity: 0, size: 60, tooltip: true },
          encoding: {
            y: { ...y, field: "mean" },
            tooltip: tooltips("method", "step", "mean", "low", "high", "seeds") } },
      ];
      if (chart.published)
        layer.push({ data: { values: published(chart) },
                     mark: { type: "point", filled: true, size: 26, opacity: 0.55, tooltip: true },
                     encoding: { y: { ...y, field: "value" } } });
      if (chart.ref !== null)
        layer.push({ mark: { type: "rule", strokeDash: [3, 3], color: "#777" },
                     encoding: { x: { value: 0 }, x2: { value: "width" }, color: { value: "#777" },
                                 y: { datum: chart.ref } } });
      return { width: "container", height: 220, data: { values },
               encoding: { x: step, color: colour }, layer };
    },
    bands(chart) {
      const values = bands(chart);
      const area = (low, high, opacity) => ({
        mark: { type: "area", opacity },
        encoding: { y: { field: low, type: "quantitative", title: null }, y2: { field: high } } });
      return facets(chart, values, {
        encoding: { x: step, color: unlabelled },
        layer: [area("p5", "p95", 0.18), area("p15", "p85", 0.3),
                { mark: { type: "line", strokeWidth: 1.7, tooltip: true },
                  encoding: { y: { field: "p50", type: "quantitative" } } }] });
    },
    ridges(chart) {
      const { values, steps } = ridges(chart);
      const y = { type: "quantitative", title: "step", scale: { zero: false },
                  axis: { values: steps.map((_, i) => -i), grid: false, ticks: false,
                          labelExpr: `${JSON.stringify(steps)}[-datum.value]` } };
      return facets(chart, values, {
        encoding: { x: { field: "value", type: "quantitative", title: "value", scale: { nice: false } },
                    color: unlabelled, detail: { field: "step", sort: "ascending" } },
        layer: [{ mark: { type: "area", opacity: 0.3 },
                  encoding: { y: { ...y, field: "top" }, y2: { field: "base" } } },
                { mark: { type: "line", strokeWidth: 1.2 }, encoding: { y: { ...y, field: "top" } } }] },
        240);
    },
    heat(chart) {
      return facets(chart, cells(chart), {
        mark: { type: "rect", tooltip: true },
        encoding: {
          x: { field: "step", type: "ordinal", axis: { labelOverlap: true, labelAngle: 0 } },
          y: { field: "row", type: "ordinal", title: chart.unit, sort: "descending",
               axis: { labelOverlap: true } },
          color: { field: "value", type: "quantitative", title: null,
                   scale: { scheme: "viridis", type: chart.log ? "log" : "linear" } } } });
    },
  };

  /* One panel a method, all on one ordinate. */
  function facets(chart, values, spec, height = 150) {
    const panels = Math.max(1, new Set(values.map((v) => v.method)).size);
    const wide = Math.min(360, Math.max(150, 1130 / panels - 45));
    return { data: { values },
             facet: { column: { field: "method", type: "nominal", title: null, sort: labels } },
             spec: { width: wide, height, ...spec } };
  }

  const config = {
    font: "system-ui, sans-serif", background: "white",
    axis: { gridColor: "#e6e9ed", domainColor: "#8a929b", tickColor: "#8a929b", labelColor: "#444c56",
            titleColor: "#444c56", titleFontWeight: "normal" },
    view: { stroke: null }, legend: { orient: "top", labelLimit: 400, symbolStrokeWidth: 3 },
    header: { labelFontWeight: "bold", labelLimit: 250 },
  };

  function specOf(chart) {
    const spec = kinds[chart.kind](chart);
    return { $schema: "https://vega.github.io/schema/vega-lite/v6.json",
             description: `${chart.section}: ${chart.title}`, config, ...spec };
  }

  /* ---- the page */

  function element(kind, attributes = {}, ...children) {
    const e = document.createElement(kind);
    for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
    e.append(...children);
    return e;
  }

  function saveTable(chart, name) {
    const rows = specOf(chart).data.values;
    if (!rows.length) return;
    const columns = Object.keys(rows[0]);
    const quote = (v) => (typeof v === "string" ? `"${v.replaceAll('"', '""')}"` : v ?? "");
    const text = [columns.join(","), ...rows.map((r) => columns.map((c) => quote(r[c])).join(","))];
    const blob = new Blob([text.join("\n") + "\n"], { type: "text/csv" });
    const a = element("a", { href: URL.createObjectURL(blob), download: `${name}.csv` });
    a.click();
    URL.revokeObjectURL(a.href);
  }

  const figures = [];
  const problems = [];

  async function draw(figure) {
    const { chart, at, name } = figure;
    figure.drawn = figure.wanted = stamp;
    try {
      const result = await vegaEmbed(at, specOf(chart), {
        renderer: chart.kind === "heat" ? "canvas" : "svg",
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: name, i18n: { CLICK_TO_VIEW_ACTIONS: "save this chart" },
      });
      const menu = at.querySelector(".vega-actions");
      if (menu) {
        const csv = element("a", { href: "#", role: "button" }, "Save as CSV");
        csv.addEventListener("click", (e) => { e.preventDefault(); saveTable(chart, name); });
        menu.append(csv);
      }
      figure.view?.finalize();
      figure.view = result.view;
    } catch (error) {
      problems.push(`${name}: ${error}`);
      at.textContent = `This chart could not be drawn: ${error}`;
    }
  }

  let stamp = 0;
  const inView = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const figure = figures[+target.dataset.i];
      if (isIntersecting) inView.add(figure); else inView.delete(figure);
      if (isIntersecting && figure.drawn !== stamp) draw(figure);
    }
  }, { rootMargin: "400px" });

  /* What never comes into view is drawn when the browser has nothing else to do: paper shows it. */
  const idle = window.requestIdleCallback || ((f) => setTimeout(f, 50));
  function drawRest() {
    const next = figures.find((f) => !f.box.hidden && f.wanted !== stamp);
    if (next) draw(next).then(() => idle(drawRest));
  }

  function drawAll() {
    return Promise.all(figures.filter((f) => !f.box.hidden && f.drawn !== stamp).map(draw));
  }

  const isChosen = (chart) =>
    !(shown.layer && chart.layer && chart.kind !== "view" && chart.layer !== shown.layer) &&
    (shown.task === null || chart.task === null || chart.task === shown.task);

  /* Filters changed: what is in view is drawn again, the rest when it comes into view. */
  function refresh() {
    stamp++;
    for (const figure of figures)
      figure.box.hidden = !isChosen(figure.chart);
    for (const section of document.querySelectorAll("section.charts"))
      section.hidden = ![...section.querySelectorAll("figure")].some((f) => !f.hidden);
    return Promise.all([...inView].filter((f) => !f.box.hidden).map(draw)).then(() => idle(drawRest));
  }

  function checkboxes(title, values, set, dot) {
    const box = element("fieldset", {}, element("legend", {}, title));
    values.forEach((value, i) => {
      const input = element("input", { type: "checkbox", checked: "" });
      input.addEventListener("change", () => {
        if (input.checked) set.add(value); else set.delete(value);
        refresh();
      });
      const label = element("label", {}, input);
      if (dot)
        label.append(element("span", { class: "dot", style: `background:${colours[i]}` }));
      label.append(String(value));
      box.append(label);
    });
    return box;
  }

  function choice(title, options, take) {
    const select = element("select", { "aria-label": title.toLowerCase() });
    for (const [value, text] of options) select.append(element("option", { value }, text));
    select.addEventListener("change", () => { take(select.value); refresh(); });
    return element("fieldset", {}, element("legend", {}, title), select);
  }

  function layerChoice() {
    const layers = [...new Set(data.charts.filter((c) => c.kind !== "view").map((c) => c.layer))];
    return choice("Layer", [["", "all"], ...layers.filter(Boolean).map((layer) => [layer, layer])],
                  (value) => { shown.layer = value; });
  }

  const taskChoice = () =>
    choice("Task", data.tasks.map((task, i) => [i, task]), (value) => { shown.task = +value; });

  function build() {
    const filters = document.getElementById("filters"), page = document.getElementById("charts");
    const band = element("p", { class: "sub note" },
      `Bands around curves: ${data.level * 100} % Student t interval of the mean over the seeds shown, ` +
      `or their range where there are fewer than ${data.least_seeds}. Other pictures show the smallest seed.`);
    filters.after(band);
    filters.append(checkboxes("Methods", labels, shown.methods, true),
                   checkboxes("Seeds", seeds, shown.seeds, false));
    if (data.charts.some((c) => c.layer && c.kind !== "view")) filters.append(layerChoice());
    if (data.tasks.length) filters.append(taskChoice());
    const places = element("nav", { "aria-label": "Sections" });
    let section = null, heading = "";
    data.charts.forEach((chart, i) => {
      if (chart.section !== heading) {
        heading = chart.section;
        const id = heading.toLowerCase().replaceAll(" ", "-");
        section = document.getElementById(id);
        if (!section) {
          section = element("section", { class: "charts", id }, element("h2", {}, heading));
          page.append(section);
          places.append(element("a", { href: `#${id}` }, heading));
        }
      }
      const at = element("div", { class: "chart" });
      const box = element("figure", { "data-i": i, class: chart.kind },
                          element("figcaption", {}, chart.title), at);
      if (chart.published) box.append(element("p", { class: "sub note" }, "points: as published"));
      if (chart.note) box.append(element("p", { class: "sub note" }, chart.note));
      figures.push({ chart, at, box, drawn: -1,
                     name: `${chart.section}-${chart.title}`.toLowerCase().replace(/[^a-z0-9]+/g, "-") });
      section.append(box);
      watcher.observe(box);
      box.hidden = !isChosen(chart);
    });
    filters.append(places);
  }

  build();
  idle(drawRest);
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("main > details")) details.open = true;
    drawAll();
  });
  /* For tests: draw everything, see what went wrong. */
  window.normlab = { data, shown, figures, problems, drawAll, refresh, specOf };
})();
