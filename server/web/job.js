// job.js - one job: its state, the curves of loss and gradient norm, the health of each layer, its checkpoints.
import { download, hasToken, request } from "./request.js";
import { bytes, count, duration, element, number, percent, row, when } from "./format.js";
import { Chart } from "./chart.js";

// An update a thousandth the size of the weights is healthy; these bounds mark what is far from it.
const VANISHING_RATIO = 1e-6;
const EXPLODING_RATIO = 0.3;

// What can be asked of a job, and in which statuses.
const VERBS = {
	pause: ["queued", "running"],
	resume: ["pausing", "paused"],
	stop: ["running", "pausing"],
	cancel: ["queued", "running", "pausing", "paused", "stopping"],
};

const get = (id) => document.getElementById(id);

function fact(name, value) {
	return element("div", null, element("dt", null, name), element("dd", null, value));
}

function waits(waiting) {
	return waiting && `number ${waiting.position} in the queue, ${waiting.reason.replaceAll("_", " ")}: ${waiting.detail}`;
}

function remark(layer) {
	if (layer.nonfinite > 0) return ["non-finite gradients", "remark-bad"];
	if (layer.grad_norm === 0) return ["no gradient", "remark-warn"];
	if (layer.update_ratio > EXPLODING_RATIO) return ["exploding: lower the learning rate or clip", "remark-bad"];
	if (layer.update_ratio !== null && layer.update_ratio < VANISHING_RATIO) return ["vanishing", "remark-warn"];
	return ["", ""];
}

function layerRow(layer) {
	const [text, cls] = remark(layer);
	return row([
		[layer.name], [number(layer.grad_norm), "num"], [number(layer.grad_norm_clipped), "num"],
		[number(layer.grad_max_abs), "num"], [number(layer.weight_norm), "num"], [number(layer.update_ratio), "num"],
		[count(layer.nonfinite), "num"], [text, cls],
	]);
}

function finding(f) {
	return element("li", null, element("strong", null, f.code.replaceAll("_", " ")), " ", f.detail, " ",
		element("span", { class: "muted" }, f.suggestion));
}

function checkpointRow(job, c) {
	const link = (format) => {
		const path = `/v1/jobs/${job.id}/checkpoints/${c.epoch}/weights?format=${format}`;
		const a = element("a", { href: path }, format);
		if (hasToken())
			a.addEventListener("click", (event) => {
				event.preventDefault();
				download(path, `${job.id}-${c.epoch}.${format}`);
			});
		return a;
	};
	const marks = [c.is_best && "best", c.is_last && "last"].filter(Boolean).join(", ");
	return row([
		[count(c.epoch)], [number(c.metrics && c.metrics.val_loss), "num"], [bytes(c.bytes), "num"], [marks],
		[element("span", null, link("safetensors"), " ", link("npz"))],
	]);
}

export class JobView {
	constructor() {
		this.charts = {
			loss: new Chart(get("chart-loss"), ["loss", "val_loss"]),
			accuracy: new Chart(get("chart-accuracy"), ["accuracy", "val_accuracy"]),
			gradient: new Chart(get("chart-gradient"), ["grad_norm", "grad_norm_clipped"], { log: true }),
			lr: new Chart(get("chart-lr"), ["lr"]),
		};
		for (const verb of Object.keys(VERBS)) get("job-" + verb).addEventListener("click", () => this.ask(verb));
		this.forget(null);
	}

	/** Nothing is known yet of the job with this id. */
	forget(id) {
		this.id = id;
		this.version = null;
		this.lastSeq = 0;
		this.x = [];
		this.series = {};
		this.layers = null;
		for (const chart of Object.values(this.charts)) chart.clear();
		for (const table of ["layers", "checkpoints"]) document.querySelector(`#${table} tbody`).replaceChildren();
	}

	async refresh(id) {
		if (id !== this.id) this.forget(id);
		const job = await request("GET", "/v1/jobs/" + encodeURIComponent(id));
		if (id !== this.id) return;
		this.showState(job);
		const more = await this.fetchMetrics(id);
		if (id !== this.id || !more) return;
		this.showCharts();
		const [layers, checkpoints] = await Promise.all([
			request("GET", `/v1/jobs/${id}/layers?limit=1`), request("GET", `/v1/jobs/${id}/checkpoints`),
		]);
		if (id !== this.id) return;
		const newest = layers.data[layers.data.length - 1];
		get("layers-epoch").textContent = newest ? `epoch ${newest.epoch}` : "";
		document.querySelector("#layers tbody").replaceChildren(...(newest ? newest.layers.map(layerRow) : []));
		document.querySelector("#checkpoints tbody").replaceChildren(...checkpoints.data.map((c) => checkpointRow(job, c)));
	}

	/** Appends the epochs since the last look; true when there were any. */
	async fetchMetrics(id) {
		const m = await request("GET", `/v1/jobs/${id}/metrics?since_seq=${this.lastSeq}`);
		if (id !== this.id || m.x.length === 0) return false;
		// A training that went back tells its epochs again, from there on.
		const kept = this.x.findIndex((epoch) => epoch >= m.x[0]);
		if (kept >= 0) for (const column of [this.x, ...Object.values(this.series)]) column.length = kept;
		for (const name of m.names) (this.series[name] = this.series[name] || []).push(...m.series[name]);
		this.x.push(...m.x);
		this.lastSeq = m.last_seq;
		return true;
	}

	showCharts() {
		for (const chart of Object.values(this.charts)) chart.set(this.x, chart.labels.map((l) => this.series[l] || []));
	}

	showState(job) {
		const m = job.metrics || {};
		document.title = `${job.name || job.id} · ${job.epoch}/${job.epochs} · backpropd`;
		get("job-title").textContent = job.name || job.id;
		get("job-status").textContent = job.status;
		get("job-status").className = "status status-" + job.status;
		get("job-detail").textContent = [job.status_reason, job.status_detail, waits(job.waiting), job.id].filter(Boolean).join(" · ");
		get("job-progress").max = job.epochs;
		get("job-progress").value = job.epoch;
		for (const [verb, statuses] of Object.entries(VERBS)) get("job-" + verb).hidden = !statuses.includes(job.status);
		get("job-findings").replaceChildren(...job.diagnosis.map(finding));
		get("job-facts").replaceChildren(
			fact("epoch", `${job.epoch} of ${job.epochs}`),
			...(job.threads ? [fact("threads", count(job.threads))] : []),
			fact("time left", job.status === "running" && m.seconds ? duration(m.seconds * (job.epochs - job.epoch)) : "–"),
			fact("loss", number(m.loss)), fact("val_loss", number(m.val_loss)),
			fact("val accuracy", percent(m.val_accuracy)), fact("test accuracy", percent(m.test_accuracy)),
			fact("gradient norm", number(m.grad_norm)),
			fact("samples / s", m.samples_per_second ? count(Math.round(m.samples_per_second)) : "–"),
			fact("data set", job.dataset || "–"), fact("created", when(job.created_at)),
		);
	}

	async ask(verb) {
		const button = get("job-" + verb);
		button.disabled = true;
		try {
			await request("POST", `/v1/jobs/${this.id}/${verb}`);
			this.showState(await request("GET", "/v1/jobs/" + this.id));
		} catch (error) {
			get("job-detail").textContent = error.message;
		} finally {
			button.disabled = false;
		}
	}

	missing(id) {
		this.forget(null);
		get("job-title").textContent = "There is no job " + id;
		get("job-status").textContent = "";
		get("job-detail").textContent = "It may have been deleted.";
		get("job-facts").replaceChildren();
		get("job-findings").replaceChildren();
		for (const verb of Object.keys(VERBS)) get("job-" + verb).hidden = true;
	}
}
