// What an upload is told by: how fast it goes, and what stands for its content.

import { duration, percent, size } from "./new-job-parts.js";

/** How fast it goes, over the last seconds. */
export class Pace {
  constructor() {
    this.marks = [[performance.now(), 0]];
  }

  tell(loaded, total) {
    const now = performance.now();
    this.marks.push([now, loaded]);
    while (this.marks.length > 2 && now - this.marks[0][0] > 8000) this.marks.shift();
    const [then, had] = this.marks[0];
    const speed = (loaded - had) / Math.max(0.001, (now - then) / 1000);
    const left = now - then > 500 && speed > 0 ? ` · ${duration((total - loaded) / speed)} left` : "";
    return `${percent(loaded / total)} · ${size(loaded)} of ${size(total)} · ${size(Math.round(speed))}/s${left}`;
  }
}

/** A short digest of a text (cyrb53); what it stands for is compared by the platform. */
export function digest(text) {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}
