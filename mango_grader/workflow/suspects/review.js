"use strict";

// The CSV of all decisions; `rows` are those of the page, `decided` is path -> {reviewed, note} of this review.
function reviewCsv(columns, rows, decided) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (values) => values.map(quoted).join(",") + "\n";
  const cells = ({ path, label, reviewed_label: reviewed, note }) => {
    const now = decided[path] ?? { reviewed, note };
    return [path, label, now.reviewed, now.note.replace(/\s+/g, " ").trim()];
  };
  return "\ufeff" + line(columns) + rows.map((row) => line(cells(row))).join("");
}

// What a key decides on an image with this label: a class, one of the two words, "" to take it back, or undefined.
function keyDecision(key, label, classes, words) {
  const place = /^[1-9]$/.test(key) ? Number(key) - 1 : -1;
  const by = { k: label, u: words.unsure, x: words.unusable, 0: "", backspace: "" };
  return place >= 0 ? classes[place] : by[key.toLowerCase()];
}

function start(content) {
  const { key, columns, rows, classes, words, suspects, examples, images } = content;
  const at = (id) => document.getElementById(id);
  const made = (tag, text, kind) => Object.assign(document.createElement(tag), { textContent: text ?? "", className: kind ?? "" });
  const picture = (path, alt) =>
    images[path] ? Object.assign(document.createElement("img"), { src: images[path], alt }) : made("div", "unreadable", "gone");
  let decided = {};
  let unsaved = false;
  let current = 0;

  // A browser may keep nothing for files: the page then works, but forgets when it is closed.
  try {
    decided = JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {}
  const keep = () => {
    try {
      localStorage.setItem(key, JSON.stringify(decided));
    } catch {}
  };

  function decide(reviewed, note) {
    const { path } = suspects[current];
    const before = decided[path] ?? { reviewed: "", note: "" };
    decided[path] = { reviewed: reviewed ?? before.reviewed, note: note ?? before.note };
    unsaved = true;
    keep();
  }

  function answer(reviewed) {
    decide(reviewed);
    if (reviewed && current < suspects.length - 1) current += 1;
    show();
  }

  function choices(label, reviewed) {
    const offered = classes.map((name, place) => [name, name === label ? `Keep ${name}` : name, name === label ? "K" : place < 9 ? `${place + 1}` : ""]);
    const all = [...offered, [words.unsure, "Unsure", "U"], [words.unusable, "Unusable: leave it out", "X"]];
    at("choices").replaceChildren(
      ...all.map(([value, text, hint]) => {
        const button = made("button", text, value === label ? "own" : "");
        button.type = "button";
        button.setAttribute("aria-pressed", String(value === reviewed));
        if (hint) button.append(" ", made("kbd", hint));
        button.addEventListener("click", () => answer(value === reviewed ? "" : value));
        return button;
      }),
    );
  }

  function compare(suspect) {
    const figure = (path, name) => {
      const one = made("figure");
      one.append(picture(path, `${name}: ${path}`), made("figcaption", path));
      return one;
    };
    const row = (title, paths, name) => {
      const one = made("div", "", "row");
      one.append(...paths.map((path) => figure(path, name)));
      return [made("h3", title), one];
    };
    const same = suspect.same_fruit.flatMap(([path, label]) => row(`The same fruit, labelled ${label}`, [path], label));
    const names = [...new Set([suspect.label, suspect.judgement?.suggested, ...suspect.same_fruit.map(([, label]) => label)])];
    const typical = names.filter((name) => examples[name]?.length).flatMap((name) => row(`Typical of ${name}`, examples[name], name));
    at("compare").replaceChildren(...same, ...typical);
  }

  function show() {
    const suspect = suspects[current];
    const { reviewed, note } = decided[suspect.path] ?? { reviewed: "", note: "" };
    at("image").replaceChildren(picture(suspect.path, `${suspect.label}: ${suspect.path}`));
    at("place").textContent = `${current + 1} of ${suspects.length}`;
    at("label").textContent = suspect.label;
    at("path").textContent = suspect.path;
    at("why").textContent = suspect.why;
    at("note").value = note;
    choices(suspect.label, reviewed);
    compare(suspect);
    const count = suspects.filter(({ path }) => decided[path]?.reviewed).length;
    at("count").textContent = `${count} of ${suspects.length} decided`;
    [...at("strip").children].forEach((button, place) => {
      const found = decided[suspects[place].path]?.reviewed ?? "";
      button.dataset.state = !found ? "open" : found === suspects[place].label ? "kept" : "changed";
      button.title = `${suspects[place].path}: ${suspects[place].label}${found ? ` → ${found}` : ""}`;
      button.setAttribute("aria-current", String(place === current));
    });
    // Moves only the strip: scrollIntoView would move the page, too.
    const strip = at("strip");
    const button = strip.children[current];
    strip.scrollTo({ left: button.offsetLeft - strip.clientWidth / 2, top: button.offsetTop - strip.clientHeight / 2 });
  }

  function move(step) {
    current = Math.min(Math.max(current + step, 0), suspects.length - 1);
    show();
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([reviewCsv(columns, rows, decided)], { type: "text/csv" }));
    link.download = "reviewed.csv";
    link.click();
    URL.revokeObjectURL(link.href);
    unsaved = false;
  }

  at("strip").replaceChildren(
    ...suspects.map((suspect, place) => {
      const button = made("button");
      button.type = "button";
      button.append(picture(suspect.path, `${suspect.label}: ${suspect.path}`));
      button.addEventListener("click", () => {
        current = place;
        show();
      });
      return button;
    }),
  );
  at("previous").addEventListener("click", () => move(-1));
  at("next").addEventListener("click", () => move(1));
  at("save").addEventListener("click", save);
  at("note").addEventListener("input", (event) => decide(undefined, event.target.value));
  addEventListener("beforeunload", (event) => unsaved && event.preventDefault());
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === at("note")) {
      if (event.key === "Escape" || event.key === "Enter") at("note").blur();
      return;
    }
    const suspect = suspects[current];
    const decision = keyDecision(event.key, suspect.label, classes, words);
    if (decision !== undefined) answer(decision);
    else if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else if (event.key === "s") save();
    else if (event.key === "n") at("note").focus();
    else return;
    event.preventDefault();
  });
  if (suspects.length) show();
}

if (typeof document !== "undefined") start(JSON.parse(document.getElementById("content").textContent));
