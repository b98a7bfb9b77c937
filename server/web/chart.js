// chart.js - one uPlot chart that grows with its data and follows the width of its box.
/* global uPlot */
import { number } from "./format.js";

const COLOURS = ["#1f6feb", "#d9730d", "#8250df", "#1a7f37"];

export class Chart {
	/** labels: the series' names; options.log: logarithmic y axis. */
	constructor(box, labels, options = {}) {
		this.box = box;
		this.labels = labels;
		this.log = Boolean(options.log);
		this.plot = null;
		new ResizeObserver(() => this.resize()).observe(box);
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
	}

	/** x: epochs; series: one array of numbers or nulls for each label. */
	set(x, series) {
		this.data = [x, ...series.map((s) => (this.log ? s.map((v) => (v > 0 ? v : null)) : s))];
		if (this.plot) this.plot.setData(this.data);
		else this.redraw();
	}

	clear() {
		if (this.plot) this.plot.destroy();
		this.plot = null;
		this.data = null;
	}

	resize() {
		if (this.plot && this.box.clientWidth > 0) this.plot.setSize({ width: this.box.clientWidth, height: 230 });
	}

	redraw() {
		if (!this.data || this.box.clientWidth === 0) return;
		if (this.plot) this.plot.destroy();
		const css = getComputedStyle(document.documentElement);
		const axis = {
			stroke: css.getPropertyValue("--muted").trim(),
			grid: { stroke: css.getPropertyValue("--line").trim(), width: 0.5 },
			ticks: { stroke: css.getPropertyValue("--line").trim(), width: 0.5 },
		};
		const value = (u, v) => (v === null || v === undefined ? "–" : number(v));
		this.plot = new uPlot({
			width: this.box.clientWidth,
			height: 230,
			scales: { x: { time: false }, y: { distr: this.log ? 3 : 1 } },
			axes: [
				{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 100000], label: "epoch", labelSize: 20 },
				{ ...axis, size: 64, values: (u, ticks) => ticks.map((v) => (v === null ? "" : number(v))) },
			],
			series: [
				{ label: "epoch" },
				...this.labels.map((label, i) => ({
					label, value, stroke: COLOURS[i], width: 2, spanGaps: false, points: { show: this.data[0].length < 60 },
				})),
			],
		}, this.data, this.box);
	}
}
