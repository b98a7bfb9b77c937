// jobs.js - the first view: the newest jobs and the data sets.
import { request } from "./request.js";
import { bytes, count, element, number, percent, row, status, when } from "./format.js";

function progress(job) {
	const bar = element("progress", { max: job.epochs, value: job.epoch, "aria-label": "epochs done" });
	return element("span", null, bar, `${job.epoch} / ${job.epochs}`);
}

function jobRow(job) {
	const m = job.metrics || {};
	return row([
		[element("a", { href: "#" + job.id }, job.name || job.id)],
		[status(job.status)],
		[progress(job)],
		[number(m.loss), "num"],
		[number(m.val_loss), "num"],
		[percent(m.val_accuracy), "num"],
		[job.dataset || "–"],
		[when(job.created_at)],
	]);
}

function datasetRow(d) {
	const info = d.info || d;
	return row([
		[d.name],
		[info.shape ? info.shape.join(" × ") : "–"],
		[count(info.classes), "num"],
		[count(info.train), "num"],
		[count(info.test), "num"],
		[bytes(d.bytes), "num"],
		[d.status],
	]);
}

export class JobsView {
	async refresh() {
		const [jobs, datasets] = await Promise.all([
			request("GET", "/v1/jobs?limit=100"), request("GET", "/v1/datasets?limit=100"),
		]);
		document.title = "backpropd";
		document.querySelector("#jobs tbody").replaceChildren(...jobs.data.map(jobRow));
		document.getElementById("jobs-empty").hidden = jobs.data.length > 0;
		document.getElementById("jobs-count").textContent = jobs.has_more ? "the newest 100" : "";
		document.querySelector("#datasets tbody").replaceChildren(...datasets.data.map(datasetRow));
	}
}
