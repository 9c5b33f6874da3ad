// The words in which genotype files are told of: findings, and the names that stand in them.

export const plain = (chromosome) => {
  const bare = chromosome.replace(/^chr/, "");
  return bare === "23" ? "X" : bare;
};
export const base = (name) => name.replace(/(\.vcf)?(\.b?gz)?$/, "") || "file";
export const word = (name) => (/^[\w.@%+=:,/][\w.@%+=:,/-]*$/.test(name) ? name : `'${name.replaceAll("'", `'"'"'`)}'`);
export const count = (number) => number.toLocaleString("en");

export function bad(facts, code, message, action) {
  facts.findings.push({ level: "bad", code, message, action });
}

export function warn(facts, code, message, action) {
  facts.findings.push({ level: "warn", code, message, action });
}
