// What the server is asked, and nothing else.

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function answer(response) {
  const content = await response.json().catch(() => ({}));
  if (response.ok) return content;
  const detail = typeof content.detail === "string" ? content.detail : `the server answered ${response.status}`;
  throw new Refused(response.status, detail);
}

const get = async (path) => answer(await fetch(path));

const post = async (path, body) =>
  answer(await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));

const of = (image) => `?image=${encodeURIComponent(image)}`;

export const photographUrl = (image) => `/api/photograph${of(image)}`;
export const thumbnailUrl = (image) => `/api/thumbnail${of(image)}`;
export const bench = () => get("/api/bench");
export const images = () => get("/api/images");
export const first = (image) => get(`/api/first${of(image)}`);
export const review = (image) => get(`/api/review${of(image)}`);

// Say why there is no photograph: what the server says, or else what the browser said.
export async function whyNoPhotograph(image, error) {
  await get(photographUrl(image));
  throw error;
}

export const act = (image, revision, action) => post("/api/act", { image, revision, action });
export const ahead = (images) => post("/api/ahead", { images });
export const write = (format, which) => post("/api/export", { format, which });

export const upload = async (file) =>
  answer(await fetch(`/api/upload?name=${encodeURIComponent(file.name.slice(-200))}`, { method: "POST", body: file }));
