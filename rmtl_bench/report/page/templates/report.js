// Sorting, filtering, hiding methods, picking pairs, the dark page. Everything is readable without it.
(function () {
  "use strict";

  const find = (id) => document.getElementById(id);
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const hidden = new Set();

  // ---- sorting -----------------------------------------------------------------------------------------------------

  // Read "1,234", "<0.0001", "0.61 ± 0.02" and "3/5" by the number they begin with; NaN where there is none.
  function toNumber(text) {
    return parseFloat(text.replace(/[<,]/g, "").replace("−", "-"));
  }

  function keyOf(row, column, kind) {
    const cell = row.cells[column];
    if (kind === "method" && row.dataset.method) return row.dataset.method;
    const text = cell.dataset.value || cell.textContent.trim();
    return kind === "number" || kind === "strip" ? toNumber(text) : text;
  }

  function compare(a, b) {
    if (typeof a === "number") return a - b;
    return a.localeCompare(b, "en", { numeric: true });
  }

  function missing(key) {
    return typeof key === "number" ? Number.isNaN(key) : key === "" || key === "-";
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const heading = table.tHead.rows[0].cells[column];
    const keyed = Array.from(body.rows, (row) => ({ row, key: keyOf(row, column, heading.dataset.kind) }));
    keyed.sort(function (a, b) {
      const place = a.row.dataset.place - b.row.dataset.place;
      if (!direction) return place;
      // What is missing comes last, whichever way.
      if (missing(a.key) || missing(b.key)) return missing(a.key) - missing(b.key) || place;
      return direction * compare(a.key, b.key) || place;
    });
    body.append(...keyed.map((each) => each.row));
  }

  // Ascending, descending, and back to the order of the report.
  function turn(table, heading) {
    const now = heading.getAttribute("aria-sort");
    const next = now === null ? "ascending" : now === "ascending" ? "descending" : null;
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    if (next) heading.setAttribute("aria-sort", next);
    sort(table, heading.cellIndex, next === "ascending" ? 1 : next === "descending" ? -1 : 0);
  }

  function makeSortable(table) {
    if (!table.tHead || table.tBodies[0].rows.length < 2) return;
    Array.from(table.tBodies[0].rows).forEach((row, place) => (row.dataset.place = place));
    all("thead th", table).forEach(function (heading) {
      // Beside the words, not around them: no browser repeats a button on the next sheet of paper.
      const button = document.createElement("button");
      const title = heading.textContent.trim();
      button.type = "button";
      button.className = "sort";
      button.setAttribute("aria-label", "sort by " + title);
      button.addEventListener("click", () => turn(table, heading));
      heading.abbr = title;
      heading.append(button);
    });
  }

  // ---- what the leaderboard shows ----------------------------------------------------------------------------------

  const cells = all("#leaderboard .cell");
  const choices = all("#tools [data-choice]");

  function chosen(name) {
    const select = choices.find((each) => each.dataset.choice === name);
    // An option's value is its number: the names are anybody's.
    return select && select.value ? select.selectedOptions[0].textContent : "";
  }

  function passes(method, text, backbone) {
    return method.toLowerCase().includes(text) && (!backbone || method.startsWith(backbone + "/"));
  }

  function filtered() {
    const text = find("filter").value.trim().toLowerCase();
    const backbone = chosen("backbone");
    return (method) => passes(method, text, backbone);
  }

  function show() {
    const keep = filtered();
    let rows = 0, shown = 0, tables = 0;
    cells.forEach(function (cell) {
      const wanted = ["dataset", "task", "metric"].every((name) => !chosen(name) || cell.dataset[name] === chosen(name));
      let here = 0;
      all("tbody tr", cell).forEach(function (row) {
        const kept = keep(row.dataset.method);
        row.classList.toggle("out", !kept);
        rows += 1;
        if (wanted && kept && !hidden.has(row.dataset.method)) here += 1;
      });
      cell.classList.toggle("out", !wanted || here === 0);
      shown += here;
      tables += here ? 1 : 0;
    });
    const methods = hidden.size === 1 ? "1 method" : hidden.size + " methods";
    find("count").textContent = `${shown} of ${rows} rows, in ${tables} of ${cells.length} tables; ` +
      (hidden.size ? `${methods} hidden` : "no method hidden");
  }

  // Whatever belongs to a method goes with it: rows everywhere, series in figures.
  const ofMethod = new Map();

  function hideThose() {
    ofMethod.forEach((elements, method) => elements.forEach((each) => each.classList.toggle("off", hidden.has(method))));
    all("[data-shows]").forEach((box) => (box.checked = !hidden.has(box.dataset.shows)));
    show();
  }

  function setHidden(method, hide) {
    if (hide) hidden.add(method);
    else hidden.delete(method);
    hideThose();
  }

  function addHideButton(row) {
    const method = row.dataset.method;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "hide";
    // The list of methods does the same for who has no mouse; hundreds of stops on the way would help nobody.
    button.tabIndex = -1;
    button.textContent = "×";
    button.title = "hide " + method;
    button.setAttribute("aria-label", "hide " + method);
    button.addEventListener("click", () => setHidden(method, true));
    row.querySelector("th").abbr = method;
    row.querySelector("th").append(button);
  }

  function startLeaderboard() {
    if (!cells.length) return;
    all("[data-method]").forEach(function (element) {
      const method = element.dataset.method;
      if (!ofMethod.has(method)) ofMethod.set(method, []);
      ofMethod.get(method).push(element);
    });
    cells.forEach((cell) => all("tbody tr", cell).forEach(addHideButton));
    find("tools").addEventListener("submit", (event) => event.preventDefault());
    find("filter").addEventListener("input", show);
    choices.forEach((select) => select.addEventListener("change", show));
    all("[data-shows]").forEach((box) =>
      box.addEventListener("change", () => setHidden(box.dataset.shows, !box.checked)));
    find("only").addEventListener("click", function () {
      const keep = filtered();
      all("[data-shows]").forEach((box) => (keep(box.dataset.shows) ? null : hidden.add(box.dataset.shows)));
      hideThose();
    });
    find("all").addEventListener("click", function () {
      hidden.clear();
      find("filter").value = "";
      choices.forEach((select) => (select.value = ""));
      hideThose();
    });
    show();
  }

  // ---- every pair --------------------------------------------------------------------------------------------------

  const pairs = JSON.parse(find("pairs-data").textContent);

  // The place of (row, column), row before column, in an upper triangle written row by row.
  function placeOf(row, column, size) {
    return row * size - (row * (row + 1)) / 2 + column - row - 1;
  }

  function verdictOf(cell, a, b) {
    const row = cell.m.indexOf(a), column = cell.m.indexOf(b);
    if (row < 0 || column < 0 || row === column) return null;
    const turned = row > column;
    const place = placeOf(Math.min(row, column), Math.max(row, column), cell.m.length);
    const word = pairs.words[cell.v[place]] || "not compared";
    const said = !turned ? word : word.replace(/^(better|worse)/, (each) => (each === "better" ? "worse" : "better"));
    const difference = cell.d[place] === null ? null : cell.d[place] * (turned ? -1 : 1);
    return { said, sign: pairs.signs[pairs.words.indexOf(said)] || "", difference, p: cell.p[place] };
  }

  function describe(cell, a, b) {
    const found = verdictOf(cell, a, b);
    if (!found) return null;
    const difference = found.difference === null ? "" :
      `, difference ${found.difference < 0 ? "" : "+"}${Number(found.difference.toPrecision(3))}`;
    const p = found.p === null ? "" : `, p ${found.p < 0.0001 ? "<0.0001" : found.p}`;
    return `${cell.title}: ${found.sign} ${found.said}${difference}${p}, n ${cell.n}`;
  }

  function option(text) {
    const made = document.createElement("option");
    made.textContent = made.value = text;
    return made;
  }

  function showPicked() {
    const a = find("pick-a").value, b = find("pick-b").value;
    const lines = pairs.cells.map((cell) => describe(cell, a, b)).filter((line) => line !== null);
    const said = a === b ? ["Choose two different methods."] :
      lines.length ? lines : ["These two do not stand in one table."];
    find("picked").replaceChildren(...said.map(function (line) {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  }

  function startPairs() {
    const picker = find("picker");
    if (!picker || !pairs.cells.length) {
      if (picker) picker.remove();
      return;
    }
    const methods = Array.from(new Set(pairs.cells.flatMap((cell) => cell.m))).sort();
    ["pick-a", "pick-b"].forEach(function (id, place) {
      find(id).append(...methods.map(option));
      find(id).selectedIndex = Math.min(place, methods.length - 1);
      find(id).addEventListener("change", showPicked);
    });
    all("table.matrix").forEach(function (table, number) {
      const cell = pairs.cells[number];
      const named = (event) => {
        const at = event.target.closest("td");
        if (!at || !at.parentNode.parentNode.matches("tbody") || !cell) return null;
        return [cell.m[at.parentNode.sectionRowIndex], cell.m[at.cellIndex - 1], at];
      };
      table.addEventListener("pointerover", function (event) {
        const pair = named(event);
        if (pair && pair[0] !== pair[1]) pair[2].title = `${pair[0]} against ${pair[1]}. ${describe(cell, ...pair)}`;
      });
      table.addEventListener("click", function (event) {
        const pair = named(event);
        if (!pair) return;
        find("pick-a").value = pair[0];
        find("pick-b").value = pair[1];
        showPicked();
      });
    });
    showPicked();
  }

  // ---- page --------------------------------------------------------------------------------------------------------

  function startTheme() {
    const root = document.documentElement, button = find("theme");
    const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    const say = () => (button.textContent = dark() ? "light page" : "dark page");
    button.addEventListener("click", function () {
      root.dataset.theme = dark() ? "light" : "dark";
      say();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
    say();
  }

  // On paper nothing can be unfolded.
  function startPrint() {
    let opened = [];
    const open = function () {
      const closed = all("details:not([open])");
      opened = opened.concat(closed);
      closed.forEach((each) => (each.open = true));
    };
    const close = function () {
      opened.forEach((each) => (each.open = false));
      opened = [];
    };
    addEventListener("beforeprint", open);
    addEventListener("afterprint", close);
    matchMedia("print").addEventListener("change", (event) => (event.matches ? open() : close()));
  }

  all(".needs-script").forEach((each) => (each.hidden = false));
  all("main table:not(.matrix)").forEach(makeSortable);
  startLeaderboard();
  startPairs();
  startTheme();
  startPrint();
})();
