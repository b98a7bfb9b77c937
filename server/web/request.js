// request.js - asking the daemon: JSON in, JSON out, errors with the daemon's own words.

export class ApiError extends Error {
	constructor(status, problem) {
		super(problem.detail || problem.title || "HTTP " + status);
		this.status = status;
		this.code = problem.code;
	}
}

/** Throws ApiError for an answer that is an error, TypeError when there is no answer. */
export async function request(method, path) {
	const answer = await fetch(path, { method, headers: { Accept: "application/json" } });
	const text = await answer.text();
	const body = text ? JSON.parse(text) : null;
	if (!answer.ok) throw new ApiError(answer.status, body || {});
	return body;
}
