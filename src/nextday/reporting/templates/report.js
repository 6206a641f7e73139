"use strict";
(() => {
  const compare = (a, b) => {
    if ("v" in a.dataset && "v" in b.dataset) {
      const [x, y] = [a.dataset.v, b.dataset.v].map((v) => (v === "inf" ? Infinity : Number(v)));
      return x === y ? 0 : x - y;
    }
    return a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
  };
  const missing = (cell) => cell.textContent.trim() === "–";
  const sort = (table, column, header) => {
    const down = header.getAttribute("aria-sort") === "ascending";
    const rows = [...table.tBodies[0].rows];
    rows.sort((first, second) => {
      const [a, b] = [first.cells[column], second.cells[column]];
      if (missing(a) || missing(b)) return missing(a) - missing(b); // last, whichever way
      return down ? compare(b, a) : compare(a, b);
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, column, header));
      header.append(button);
    });
  }

  const figures = document.getElementById("figures").textContent;
  const style = getComputedStyle(document.documentElement);
  const colour = (key, value) => {
    const named = /colou?r$/i.test(key) && typeof value === "string" && /^@(\w+)(?:\/([\d.]+))?$/.exec(value);
    if (!named) return value;
    const base = style.getPropertyValue((/^\d/.test(named[1]) ? "--c" : "--") + named[1]).trim();
    return named[2] ? base + Math.round(255 * named[2]).toString(16).padStart(2, "0") : base;
  };
  const touch = matchMedia("(pointer: coarse)").matches;
  const common = () => ({
    autosize: true, uirevision: "same", dragmode: touch ? false : "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 13, color: colour("color", "@ink") },
    legend: { orientation: "h", xref: "paper", x: 0, xanchor: "left", yref: "container", y: 1, yanchor: "top" },
    hoverlabel: { bgcolor: colour("color", "@panel"), bordercolor: colour("color", "@line"), font: { color: colour("color", "@ink") }, align: "left", namelength: -1 },
    modebar: { bgcolor: colour("color", "@panel"), color: colour("color", "@muted"), activecolor: colour("color", "@ink") },
  });
  // plotly.js 4 offers to upload a chart unless told not to
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "", modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const draw = () => {
    const known = JSON.parse(figures, colour);
    for (const place of document.querySelectorAll(".plot")) {
      if (place.closest("details:not([open])")) continue; // it has no width yet
      const { data, layout } = known[place.dataset.figure];
      Plotly.react(place, data, { ...common(), ...layout }, config);
    }
  };
  draw();
  for (const one of document.querySelectorAll("details")) if (one.querySelector(".plot")) one.addEventListener("toggle", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
