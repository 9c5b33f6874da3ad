// What a genotype file is, from its first blocks and its last one, before any of it is sent. Knows nothing of the page.
//
//   inspect(file, tables)      → Facts of one File (or Blob with a name); vcf-set.js looks at several of them
//
// `tables` are the platform's own: `lengths` (chromosome → [hg19, hg38]), `chromosomes`, `names` (build → pattern), `few_samples`.
// A finding has `level` (bad: the platform refuses it; warn), `code` (as app/genotypes/findings.py), `message` and `action`.
// Whatever cannot be told is null, never a guess: the platform checks the whole file again.

import { bad, base, count, plain, warn, word } from "./vcf-words.js";

const HEAD_BYTES = 256 * 1024;
const TAIL_BYTES = 160 * 1024;
const MAX_READ_BYTES = 24 * 1024 * 1024;
const MAX_CONTENT_BYTES = 48 * 1024 * 1024;
const RECORDS = 200;
const EOF_BLOCK = [31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0, 27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
const KINDS = [
  [[0x6c, 0x1b, 0x01], "plink_bed", "a PLINK .bed file"],
  [[0x6c, 0x1b], "plink_pgen", "a PLINK 2 .pgen file"],
  [[0x50, 0x4b, 0x03, 0x04], "zip_archive", "a ZIP archive"],
  [[0x42, 0x43, 0x46, 0x02], "bcf", "a BCF file"],
  [[0x42, 0x41, 0x4d, 0x01], "alignments", "a BAM file"],
  [[0x43, 0x52, 0x41, 0x4d], "alignments", "a CRAM file"],
  [[0x54, 0x42, 0x49, 0x01], "index_file", "an index (.tbi)"],
  [[0x43, 0x53, 0x49, 0x01], "index_file", "an index (.csi)"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "other_compression", "compressed with xz"],
  [[0x28, 0xb5, 0x2f, 0xfd], "other_compression", "compressed with zstd"],
  [[0x42, 0x5a, 0x68], "other_compression", "compressed with bzip2"],
  [[0x25, 0x50, 0x44, 0x46], "not_a_vcf", "a PDF document"],
];
const ADVICE = {
  plink_bed: "Convert the whole PLINK file set: plink2 --bfile NAME --export vcf bgz",
  plink_pgen: "Convert the whole PLINK file set: plink2 --pfile NAME --export vcf bgz",
  zip_archive: "Unpack it and choose the bgzipped VCF itself.",
  other_compression: "Unpack it and choose the bgzipped VCF itself.",
  bcf: "Convert it: bcftools view -Oz -o NAME.vcf.gz NAME",
  index_file: "Choose the .vcf.gz file that belongs to it; the index is not needed.",
  alignments: "Call variants first, or choose genotypes as a bgzipped VCF.",
};

/** Look at one file. */
export async function inspect(file, tables) {
  const facts = {
    name: file.name, size: file.size, kind: "unknown", version: null, chromosome: null, hasPrefix: null, chromosomes: [], samples: null,
    firstSamples: [], ids: null, build: null, votes: [], contigLength: null, named: [], lastPosition: null, whole: null, note: null,
    findings: [],
  };
  if (!file.size) {
    bad(facts, "empty_file", "It is empty (0 bytes).", "Check the file on your side and choose it again.");
    facts.kind = "empty";
    return facts;
  }
  const head = await read(file, 0, HEAD_BYTES);
  facts.kind = kindOf(head);
  if (facts.kind === "bgzip") {
    await lookAtEnd(file, facts);
    await readBgzip(file, head, facts, tables);
  } else if (facts.kind === "gzip") {
    bad(facts, "not_bgzip", "It is compressed with gzip, not bgzip.", `Decompress it and compress it with bgzip: gunzip -c ${word(file.name)} | bgzip > ${word(`${base(file.name)}.bgz.vcf.gz`)}`);
    readText(await inflateStart(head), facts, tables);
  } else {
    notCompressed(head, facts, tables);
  }
  concludeBuild(facts, tables);
  return facts;
}

/** Find the BGZF block at `at` (SAM specification, 4.1): where its data begins and it ends; null where none begins or it goes on. */
export function findBlock(bytes, at) {
  if (at + 18 > bytes.length || bytes[at] !== 31 || bytes[at + 1] !== 139 || bytes[at + 2] !== 8 || !(bytes[at + 3] & 4)) return null;
  const extra = bytes[at + 10] | (bytes[at + 11] << 8);
  let place = at + 12;
  const end = Math.min(place + extra, bytes.length);
  while (place + 6 <= end) {
    const length = bytes[place + 2] | (bytes[place + 3] << 8);
    if (bytes[place] === 66 && bytes[place + 1] === 67 && length === 2) {
      const size = (bytes[place + 4] | (bytes[place + 5] << 8)) + 1;
      if (size < 20 + extra) return null;
      return { data: at + 12 + extra, end: at + size };
    }
    place += 4 + length;
  }
  return null;
}

function kindOf(head) {
  if (head[0] !== 31 || head[1] !== 139) return "plain";
  return findBlock(head, 0) ? "bgzip" : "gzip";
}

async function read(file, start, end) {
  return new Uint8Array(await file.slice(start, Math.min(end, file.size)).arrayBuffer());
}

async function lookAtEnd(file, facts) {
  const tail = await read(file, Math.max(0, file.size - EOF_BLOCK.length), file.size);
  facts.whole = tail.length === EOF_BLOCK.length && EOF_BLOCK.every((byte, index) => tail[index] === byte);
  if (!facts.whole) {
    bad(facts, "truncated", "It does not end with the end-of-file mark of bgzip: it was cut off, or something was appended.", `Compare its size with the original and copy it again. Check it with: bgzip -t ${word(facts.name)}`);
  }
}

// ---- Content

async function unpack(format, bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Unpack what can be had of the first bytes of a gzip file; they end in the middle, which is an error to the browser. */
async function inflateStart(bytes) {
  if (typeof DecompressionStream === "undefined") return "";
  const decoder = new TextDecoder();
  let text = "";
  try {
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || text.length > MAX_CONTENT_BYTES) break;
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    // The part that was read is what there is.
  }
  return text;
}

async function readBgzip(file, head, facts, tables) {
  if (typeof DecompressionStream === "undefined") {
    facts.note = "This browser cannot look into the file; the platform checks it after the upload.";
    return;
  }
  const header = new HeaderReader(facts, tables);
  let [bytes, offset, at] = [head, 0, 0];
  try {
    while (!header.isDone) {
      const block = findBlock(bytes, at);
      if (block && block.end <= bytes.length) {
        if (block.end - block.data > 10) header.feed(await unpack("deflate-raw", bytes.subarray(block.data, block.end - 8)));
        at = block.end;
        continue;
      }
      const next = offset + at;
      if (next >= file.size) break;
      if (!block && bytes.length - at >= 18) {
        bad(facts, "corrupt", `It stops being a bgzip file at byte ${count(next)}.`, "Write it again with bgzip.");
        return;
      }
      if (next > MAX_READ_BYTES) {
        facts.note = "Its header is too long to be read here; the platform checks it after the upload.";
        return;
      }
      const more = await read(file, next, next + HEAD_BYTES);
      if (next === offset && more.length <= bytes.length) break; // cut off in this block, which its end has told
      [bytes, offset, at] = [more, next, 0];
    }
  } catch {
    bad(facts, "corrupt", "It is damaged: one of its first blocks cannot be unpacked.", `Copy it again. Check it with: bgzip -t ${word(facts.name)}`);
    return;
  }
  header.finish();
  if (facts.whole) await readLastRecord(file, facts, tables);
}

/** The last record, from the last block: a second chromosome and a position beyond a build's end show there. */
async function readLastRecord(file, facts, tables) {
  const start = Math.max(0, file.size - TAIL_BYTES);
  const tail = await read(file, start, file.size - EOF_BLOCK.length);
  let text = "";
  let end = tail.length;
  for (let at = tail.length - 18; at >= 0 && end > 0; at -= 1) {
    const block = findBlock(tail, at);
    if (!block || block.end !== end) continue;
    try {
      text = new TextDecoder().decode(await unpack("deflate-raw", tail.subarray(block.data, block.end - 8))) + text;
    } catch {
      continue; // these bytes only looked like a block
    }
    end = at;
    const lines = text.trimEnd().split("\n");
    if (lines.length > 1 || (start === 0 && at === 0)) {
      const [chromosome, position] = lines.at(-1).split("\t", 2);
      if (!/^\d+$/.test(position ?? "") || chromosome.startsWith("#")) return;
      facts.lastPosition = Number(position);
      see(facts, chromosome, tables);
      return;
    }
  }
}

function notCompressed(head, facts, tables) {
  const known = KINDS.find(([magic]) => magic.every((byte, index) => head[index] === byte));
  if (known) {
    facts.kind = "other";
    bad(facts, known[1], `It is ${known[2]}.`, ADVICE[known[1]] ?? "Export the genotypes as VCF, one file per chromosome, and compress each with bgzip.");
    return;
  }
  const text = new TextDecoder().decode(head);
  if (/^\uFEFF?(##fileformat=VCF|#CHROM\t)/.test(text)) {
    bad(facts, "plain_vcf", "It is an uncompressed VCF file.", `Compress it with bgzip: bgzip ${word(facts.name)}`);
    readText(text, facts, tables);
    return;
  }
  facts.kind = "other";
  if (/^\s*(<!doctype\s+html|<html|<head|<body)/i.test(text)) {
    bad(facts, "html_page", "It is a web page (HTML).", "It is probably a log-in or error page saved instead of the data: open it in a browser, then download the data again.");
    return;
  }
  bad(facts, "not_a_vcf", "It is not a bgzipped VCF file.", "Export the genotypes as VCF, one file per chromosome, and compress each with bgzip.");
}

function readText(text, facts, tables) {
  if (!text) return;
  const header = new HeaderReader(facts, tables);
  header.feed(new TextEncoder().encode(text));
}

/** Reads lines until the first records have been seen. */
class HeaderReader {
  constructor(facts, tables) {
    this.facts = facts;
    this.tables = tables;
    this.isDone = false;
    this.decoder = new TextDecoder();
    this.rest = "";
    this.bytes = 0;
    this.lines = 0;
    this.records = 0;
    this.hasColumns = false;
    this.lengths = new Map();
  }

  feed(bytes) {
    if (!this.bytes && this.isSomethingElse(bytes)) return;
    this.bytes += bytes.length;
    const parts = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = parts.pop();
    for (const line of parts) {
      if (this.isDone) return;
      this.readLine(line);
    }
    // Of a record only the beginning is needed, and with many samples a line is long.
    if (!this.isDone && this.hasColumns && !this.records && this.rest.split("\t", 10).length > 9) this.readRecord(this.rest);
    if (this.bytes > MAX_CONTENT_BYTES) this.isDone = true;
  }

  /** BAM, BCF and indexes are BGZF files as well. */
  isSomethingElse(bytes) {
    const known = bytes.length ? KINDS.find(([magic]) => magic.every((byte, index) => bytes[index] === byte)) : null;
    if (!known && (!bytes.length || bytes[0] === 35 || bytes[0] === 0xef)) return false;
    this.facts.kind = "other";
    if (!known) {
      this.stop("not_a_vcf", "It is compressed, but what is in it is not a VCF.", "Export the genotypes as VCF, one file per chromosome, and compress each with bgzip.");
      return true;
    }
    this.stop(known[1], `It is ${known[2]}.`, ADVICE[known[1]] ?? "Choose a bgzipped VCF.");
    return true;
  }

  finish() {
    const { facts } = this;
    if (this.isDone || facts.findings.some((item) => item.level === "bad")) return;
    if (!this.lines && !this.rest) bad(facts, "empty_file", "It is a bgzip file with nothing in it.", "Check that the program that wrote it did not fail.");
    else if (!this.hasColumns) bad(facts, "no_column_line", "It has no #CHROM line.", "Export the file again with a tool that writes VCF 4.x, for example bcftools or plink2.");
    else if (!this.records) bad(facts, "no_records", "It holds no variants.", "Check that the whole file was written.");
  }

  readLine(line) {
    const { facts, tables } = this;
    this.lines += 1;
    if (this.hasColumns) {
      this.readRecord(line);
    } else if (this.lines === 1) {
      const version = /^\uFEFF?##fileformat=VCFv(\d{1,3})\.(\d{1,3})\s*$/.exec(line);
      if (!version) {
        this.stop("no_vcf_header", "It does not begin with ##fileformat=VCFv4.x.", "Export the file again with a tool that writes VCF 4.x, for example bcftools or plink2.");
        return;
      }
      facts.version = `${version[1]}.${version[2]}`;
      if (version[1] !== "4") this.stop("old_vcf_version", `It is VCF version ${facts.version}; version 4.0 to 4.x is needed.`, "bcftools view reads most older files and writes new ones.");
    } else if (line.startsWith("#CHROM")) {
      this.readColumns(line);
    } else if (!line.startsWith("##")) {
      this.stop("no_column_line", `It has no #CHROM line: line ${this.lines} is already something else.`, "Export the file again with a tool that writes VCF 4.x, for example bcftools or plink2.");
    } else if (/^##(reference=|assembly=|contig=<)/.test(line)) {
      const start = line.slice(0, 4096);
      for (const [build, pattern] of Object.entries(tables.names)) {
        if (new RegExp(pattern, "i").test(start) && !facts.named.includes(build)) facts.named.push(build);
      }
      const [id, length] = [/[<,]ID=([^,>]{1,40})/.exec(start), /[<,]length="?(\d{1,12})/.exec(start)];
      if (id && length) this.lengths.set(id[1], Number(length[1]));
    }
  }

  readColumns(line) {
    const { facts } = this;
    this.hasColumns = true;
    if (line.endsWith("\r")) {
      this.stop("windows_line_ends", "It has Windows line ends (CR LF).", `Convert them: gunzip -c ${word(facts.name)} | tr -d '\\r' | bgzip > fixed.vcf.gz`);
      return;
    }
    if (!line.startsWith(COLUMNS)) {
      this.stop("bad_column_line", "Its #CHROM line lacks the eight columns of VCF.", "Export the file again with a tool that writes VCF 4.x, for example bcftools or plink2.");
      return;
    }
    const ids = line.split("\t").slice(9);
    facts.samples = ids.length;
    if (!ids.length) {
      this.stop("no_samples", "It has no samples: it lists variants without genotypes.", "Choose the file with the genotypes of your samples, not a list of sites.");
      return;
    }
    facts.firstSamples = ids.slice(0, 5);
    facts.ids = ids.join("\t");
    if (new Set(ids).size !== ids.length) bad(facts, "duplicate_sample", "Two of its samples have the same id.", "Give every sample its own id: bcftools reheader -s new_ids.txt");
    if (ids.length < this.tables.few_samples) warn(facts, "few_samples", `It has ${ids.length} sample${ids.length === 1 ? "" : "s"}; many servers ask for ${this.tables.few_samples}.`, "Look up the minimum of the service that you choose.");
  }

  readRecord(line) {
    const { facts, tables } = this;
    if (!line) return;
    const fields = line.split("\t", 9);
    this.records += 1;
    if (facts.chromosome === null) {
      facts.contigLength = this.lengths.get(fields[0]) ?? null;
      const form = (fields[8] ?? "").split(":");
      if (!form.includes("GT")) bad(facts, "no_genotypes", "Its records have no genotypes (GT).", "Choose called genotypes, not only likelihoods or dosages.");
    }
    see(facts, fields[0], tables);
    if (/^\d+$/.test(fields[1] ?? "")) facts.lastPosition = Number(fields[1]);
    if (this.records >= RECORDS) this.isDone = true;
  }

  stop(code, message, action) {
    bad(this.facts, code, message, action);
    this.isDone = true;
  }
}

function see(facts, chromosome, tables) {
  if (facts.chromosomes.includes(chromosome) || facts.chromosomes.length > 30) return;
  facts.chromosomes.push(chromosome);
  if (facts.chromosome === null) {
    facts.chromosome = chromosome;
    facts.hasPrefix = chromosome.startsWith("chr");
    if (!tables.chromosomes.includes(chromosome.replace(/^chr/, ""))) {
      bad(facts, "unknown_chromosome", `The servers know no chromosome ${chromosome.slice(0, 40)}, only 1-22, X and MT, each with or without chr.`, "Remove these records, or rename the chromosome: bcftools annotate --rename-chrs names.txt");
    }
  } else if (facts.chromosomes.length === 2) {
    bad(facts, "several_chromosomes", `It holds several chromosomes (${facts.chromosomes.join(", ")}); a file must hold one.`, `Split it: bcftools index ${word(facts.name)}; bcftools view -r ${facts.chromosome} -Oz -o ${facts.chromosome}.vcf.gz ${word(facts.name)}`);
  }
}

// ---- The build: each piece of evidence has a vote; the strongest comes first (app/genotypes/builds.py)

function concludeBuild(facts, tables) {
  const lengths = facts.chromosome === null ? null : tables.lengths[plain(facts.chromosome)];
  if (!lengths) return;
  const byName = { hg19: lengths[0], hg38: lengths[1] };
  if (facts.lastPosition !== null) {
    const possible = Object.keys(byName).filter((build) => facts.lastPosition <= byName[build]);
    if (possible.length === 1) facts.votes.push({ build: possible[0], because: `position ${count(facts.lastPosition)} exists in ${possible[0]} only` });
    if (!possible.length) warn(facts, "build_doubtful", `Position ${count(facts.lastPosition)} is behind the end of chromosome ${plain(facts.chromosome)} in both builds.`, "Make sure which build the positions are in.");
  }
  for (const [build, length] of Object.entries(byName)) {
    if (length === facts.contigLength) facts.votes.push({ build, because: `contig length ${count(length)} in the header` });
  }
  if (facts.named.length === 1) facts.votes.push({ build: facts.named[0], because: `the header names ${facts.named[0]} or its GRCh number` });
  facts.build = facts.votes[0]?.build ?? null;
  if (new Set(facts.votes.map((vote) => vote.build)).size > 1) {
    warn(facts, "build_doubtful", `Its build is doubtful: ${facts.votes.map((vote) => `${vote.because} (${vote.build})`).join("; ")}.`, "Make sure which build the positions are in before you choose it.");
  }
}
