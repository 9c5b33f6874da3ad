// Small things that the page of a new job is made of: elements, words for numbers, and what the browser keeps.

export function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function copyOf(template, texts) {
  const made = document.getElementById(template).content.firstElementChild.cloneNode(true);
  for (const [name, text] of Object.entries(texts)) {
    const place = made.querySelector(`[data-${name}]`);
    if (text) place.textContent = text;
    else place.remove();
  }
  return made;
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit ? `${value.toFixed(1)} ${units[unit]}` : `${value} B`;
}

export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

export const percent = (share) => `${Math.floor(share * 100)} %`;
export const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");
export const findingBox = (finding) => copyOf(`t-${finding.level}`, { message: finding.message, action: finding.action });

export function keep(storage, key, value) {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, value);
  } catch {
    // A browser that keeps nothing loses only what it was to keep.
  }
}

export function kept(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}
export const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
