// format.js - numbers, times and sizes for people; and the one way by which text reaches the page.

/** A loss or norm: four significant digits, "-" when there is none. */
export function number(v) {
	if (v === null || v === undefined) return "–";
	if (v === 0) return "0";
	const a = Math.abs(v);
	return a >= 1e5 || a < 1e-3 ? v.toExponential(2) : String(Number(v.toPrecision(4)));
}

export function percent(v) {
	return v === null || v === undefined ? "–" : (100 * v).toFixed(2) + " %";
}

export function bytes(v) {
	if (v === null || v === undefined) return "–";
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	for (; v >= 1024 && i < units.length - 1; i++) v /= 1024;
	return (i ? v.toFixed(1) : v) + " " + units[i];
}

export function count(v) {
	return v === null || v === undefined ? "–" : v.toLocaleString("en");
}

export function duration(seconds) {
	if (seconds === null || seconds === undefined) return "–";
	const s = Math.max(0, Math.round(seconds));
	if (s < 60) return s + " s";
	if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
	return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
}

export function when(unix) {
	return unix ? new Date(unix * 1000).toLocaleString() : "–";
}

/** An element with attributes and children; strings become text nodes, never markup. */
export function element(tag, attributes, ...children) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === false || value === null || value === undefined) continue;
		if (name === "class") e.className = value;
		else e.setAttribute(name, value === true ? "" : value);
	}
	e.append(...children.filter((c) => c !== null && c !== undefined));
	return e;
}

/** A table row from cells: [text or node, class]. */
export function row(cells) {
	return element("tr", null, ...cells.map(([content, cls]) => element("td", { class: cls }, content)));
}

export function status(name) {
	return element("span", { class: "status status-" + name }, name);
}
