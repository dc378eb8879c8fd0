"use strict";
(() => {
  const root = document.documentElement;

  // Copy buttons: their text stands in the element that they name.
  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copies);
      const said = button.textContent;
      let copied = false;
      try {
        await navigator.clipboard.writeText(source.textContent);
        copied = true;
      } catch {
        // Some browsers give a file no clipboard: what is selected can be copied.
        const folded = source.closest("details");
        if (folded) folded.open = true;
        getSelection().selectAllChildren(source);
        copied = document.execCommand("copy");
      }
      button.textContent = copied ? "Copied" : "Selected: press Ctrl-C";
      setTimeout(() => { button.textContent = said; }, 1500);
    });
  }

  const holders = [...document.querySelectorAll(".plot")];
  if (!holders.length) {
    root.dataset.state = "drawn";
    return;
  }
  const fail = (error) => {
    for (const holder of holders) {
      if (!holder.querySelector(".main-svg")) {
        holder.innerHTML = '<p class="failed">This figure needs a newer browser.</p>';
      }
    }
    root.dataset.state = "failed";
    throw error;
  };

  async function loadPlotly() {
    const packed = document.getElementById("plotly").textContent.trim();
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 600px)");
  const hasGl = (() => {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl") || canvas.getContext("webgl2"));
  })();

  // "$3/0.2" is the fourth color with an opacity of 0.2.
  function colored(value, style) {
    if (typeof value === "string" && value.startsWith("$")) {
      const [name, opacity] = value.slice(1).split("/");
      const color = style.getPropertyValue(/^\d/.test(name) ? `--c${name}` : `--${name}`).trim();
      return opacity ? color + Math.round(255 * opacity).toString(16).padStart(2, "0") : color;
    }
    if (Array.isArray(value)) return value.map((part) => colored(part, style));
    if (value && typeof value === "object") {
      const made = {};
      for (const key of Object.keys(value)) made[key] = key === "bdata" ? value[key] : colored(value[key], style);
      return made;
    }
    return value;
  }

  function dressed(spec) {
    const style = getComputedStyle(root);
    const { data, layout, rows } = colored(JSON.parse(spec), style);
    const text = style.getPropertyValue("--text").trim();
    const faint = style.getPropertyValue("--faint").trim();
    const grid = style.getPropertyValue("--grid").trim();
    const card = style.getPropertyValue("--card").trim();
    const axis = {
      gridcolor: grid, zeroline: false, linecolor: grid, tickcolor: grid, automargin: true,
      tickfont: { color: faint, size: 12 }, fixedrange: narrow.matches,
    };
    for (const name of ["xaxis", "yaxis"]) {
      const given = layout[name];
      layout[name] = { ...axis, ...given };
      layout[name].title = { ...given.title, font: { color: text, size: 13 }, standoff: 8 };
    }
    if (narrow.matches) layout.xaxis.nticks = 5;
    for (const trace of data) {
      if (trace.type === "scattergl" && !hasGl) trace.type = "scatter";
    }
    Object.assign(layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: text, family: getComputedStyle(document.body).fontFamily, size: 12 },
      margin: { l: 48, r: 12, t: 6, b: 40 },
      legend: { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", traceorder: "normal" },
      hoverlabel: { bgcolor: card, bordercolor: grid, font: { color: text } },
      modebar: { bgcolor: card, color: faint, activecolor: text },
      dragmode: narrow.matches ? false : "zoom",
    });
    return { data, layout, rows };
  }

  const config = {
    responsive: true, displaylogo: false, displayModeBar: !narrow.matches,
    // Nothing that asks the network; dragging zooms anyway.
    modeBarButtons: [["toImage", "resetScale2d"]],
  };

  async function draw(holder) {
    const spec = document.getElementById(holder.dataset.spec).textContent;
    const { data, layout, rows } = dressed(spec);
    if (rows) holder.style.height = `${110 + 34 * rows}px`;
    await Plotly.react(holder, data, layout, config);
  }

  async function drawAll() {
    for (const holder of holders) {
      await draw(holder);
      // The page stays usable between two figures.
      await new Promise((done) => setTimeout(done));
    }
  }

  (async () => {
    try {
      await loadPlotly();
      await drawAll();
      root.dataset.state = "drawn";
      const again = () => drawAll();
      dark.addEventListener("change", again);
      narrow.addEventListener("change", again);
    } catch (error) {
      fail(error);
    }
  })();
})();
