// The server's calls. The photo is sent again by itself where the server has forgotten its embedding.

export class ServerError extends Error {
  constructor(status, type, message) {
    super(message);
    Object.assign(this, { status, type });
  }
}

/** A response, or ServerError with the message that the server gave. */
export async function call(address, options) {
  const response = await fetch(address, options).catch((error) => {
    throw new ServerError(
      0,
      "unreachable",
      `The server doesn't answer (${error.message}). Is mobilesam app still running?`,
    );
  });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: null }));
  throw new ServerError(
    response.status,
    error?.type ?? "unknown",
    error?.message ?? `The server said ${response.status}.`,
  );
}

export const asJson = (value, more = {}) => ({
  method: "POST",
  ...more,
  headers: { "Content-Type": "application/json", ...more.headers },
  body: JSON.stringify(value),
});

/** One photo on the server. */
export class Embedding {
  #made = null;

  constructor(blob) {
    this.blob = blob;
  }

  /** {id, size}; the photo is sent when this is first asked for. */
  made() {
    this.#made ??= this.#send().catch((error) => {
      this.#made = null;
      throw error;
    });
    return this.#made;
  }

  async #send() {
    const type = this.blob.type.startsWith("image/") ? this.blob.type : "image/unknown";
    const sent = { method: "POST", headers: { "Content-Type": type }, body: this.blob };
    return (await call("/v1/embeddings", sent)).json();
  }

  async #ask(address, body, headers = {}) {
    for (let again = false; ; again = true) {
      const made = this.made(),
        { id } = await made;
      try {
        return await call(address, asJson({ embedding: id, ...body }, { headers }));
      } catch (error) {
        if (error.status !== 404 || again) throw error;
        if (this.#made === made) this.#made = null; // else another call has noticed it too
      }
    }
  }

  /** The exact mask of one prompt: {rle, iou}. */
  async mask(prompt) {
    const body = { prompts: [prompt], multimask: "best" };
    const { masks } = await (await this.#ask("/v1/masks", body, { Accept: "application/json" })).json();
    return masks[0];
  }

  /** The bytes of a .npy file of the low-resolution logits at a point. */
  async logits([x, y]) {
    const body = { prompts: [{ points: [[x, y]], labels: [1] }], multimask: "best" };
    return (await this.#ask("/v1/masks", body, { Accept: "application/octet-stream" })).arrayBuffer();
  }

  /** All masks, the best first; `progress` is called with work done and in all. */
  async everything(options, progress) {
    const response = await this.#ask("/v1/everything", { options }, { Accept: "application/x-ndjson" });
    for await (const line of lines(response.body)) {
      if (line.error) throw new ServerError(500, line.error.type, line.error.message);
      if (line.progress) progress(...line.progress);
      if (line.masks) return line.masks;
    }
    throw new ServerError(500, "cut", "The server's answer ended before the masks.");
  }

  /** Let the server forget the photo. */
  async free() {
    const made = await this.#made?.catch(() => null);
    if (made) await fetch(`/v1/embeddings/${made.id}`, { method: "DELETE" }).catch(() => {});
  }
}

async function* lines(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const parts = (rest + (value ?? "")).split("\n");
    rest = done ? "" : parts.pop();
    for (const part of parts) if (part.trim()) yield JSON.parse(part);
    if (done) return;
  }
}
