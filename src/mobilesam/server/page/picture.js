// A file of a picture -> pixels, as the package reads it.

import { call } from "./api.js";

/** What browsers can't show (TIFF, 16 bits, ...) comes back from the server as PNG. */
export async function decode(blob) {
  return createImageBitmap(blob).catch(() => converted(blob));
}

/** The server's reading of a picture. */
export async function converted(blob) {
  const type = blob.type.startsWith("image/") ? blob.type : "image/unknown";
  const response = await call("/app/picture", { method: "POST", headers: { "Content-Type": type }, body: blob });
  return createImageBitmap(await response.blob());
}

/** A short name for the bytes: work on a picture is found again when the same picture is opened. */
export async function fingerprint(blob) {
  const hash = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return [...new Uint8Array(hash).slice(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
