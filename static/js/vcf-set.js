// What several genotype files are together, from the facts that vcf-header.js found of each. Knows nothing of the page.
//
//   compare(facts)             → findings about several files together, and the build that they agree on
//   judgeBuild(facts, build)   → findings about files whose build somebody chose

import { count, plain, word } from "./vcf-words.js";

/** Look at files together: the same samples, each chromosome once, and one build. */
export function compare(all) {
  const findings = [];
  const known = all.filter((facts) => facts.chromosome !== null);
  const places = new Map();
  for (const facts of known) {
    const name = plain(facts.chromosome);
    places.set(name, [...(places.get(name) ?? []), facts.name]);
  }
  for (const [name, files] of places) {
    if (files.length > 1) {
      findings.push({ level: "bad", code: "chromosome_twice", message: `Chromosome ${name} is in ${files.length} files: ${files.slice(0, 3).join(", ")}.`, action: "Choose one file for each chromosome; join parts of one with bcftools concat." });
    }
  }
  const [first, ...following] = all.filter((facts) => facts.samples !== null);
  for (const facts of following) {
    if (facts.samples !== first.samples) {
      findings.push({ level: "bad", code: "sample_counts_differ", message: `${first.name} has ${count(first.samples)} samples, but ${facts.name} has ${count(facts.samples)}.`, action: "All files of a job must hold the same samples: bcftools view -S samples.txt" });
      break;
    }
    if (first.ids && facts.ids && first.ids !== facts.ids) {
      findings.push({ level: "bad", code: "samples_differ", message: `${first.name} and ${facts.name} have different sample ids, or the same ones in another order.`, action: `Bring them into the same order: bcftools query -l ${word(first.name)} > samples.txt, then bcftools view -S samples.txt` });
      break;
    }
  }
  const builds = new Set(all.map((facts) => facts.build).filter(Boolean));
  if (builds.size > 1) {
    findings.push({ level: "warn", code: "build_mismatch", message: "Some of the files look like hg19 and others like hg38.", action: "Files of one job must be in the same build." });
  }
  return { findings, build: builds.size === 1 ? [...builds][0] : null };
}

/** Say what does not fit the build that was chosen: at most one finding of each kind, however many files it is true of. */
export function judgeBuild(all, build) {
  if (!build) return [];
  const unlike = all.filter((facts) => facts.build && facts.build !== build);
  const misnamed = all.filter((facts) => facts.chromosome !== null && facts.hasPrefix !== (build === "hg38"));
  const because = (facts) => (facts.votes.length ? `: ${facts.votes[0].because}` : "");
  const findings = [];
  if (misnamed.length) {
    const [first] = misnamed;
    const bare = first.chromosome.replace(/^chr/, "");
    const [old, wanted] = build === "hg38" ? [bare, `chr${bare}`] : [`chr${bare}`, bare];
    const looks = unlike.includes(first) ? ` It looks like ${first.build}${because(first)}.` : "";
    findings.push({ level: "bad", code: "prefix_mismatch", message: `${first.name}${others(misnamed)} calls its chromosome ${old}, but ${build} files must call it ${wanted}.${looks}`, action: looks ? `Choose ${first.build}.` : `If the positions are in ${build}, rename it: echo '${old} ${wanted}' > names.txt && bcftools annotate --rename-chrs names.txt -Oz -o ${wanted}.vcf.gz ${word(first.name)}. Otherwise choose the other build.` });
  }
  const rest = unlike.filter((facts) => !misnamed.length || !misnamed.includes(facts));
  if (rest.length) {
    findings.push({ level: "warn", code: "build_mismatch", message: `You chose ${build}, but ${rest[0].name}${others(rest)} looks like ${rest[0].build}${because(rest[0])}.`, action: `Choose ${rest[0].build}, or make sure which build the positions are in.` });
  }
  return findings;
}

const others = (files) => (files.length > 1 ? ` (and ${files.length - 1} more)` : "");
