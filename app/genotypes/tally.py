"""What is counted of the sites of an imputation, in constant memory. The reader (`app.genotypes.info`) fills it.

A typed site carries TYPED *and* IMPUTED with R2 and ER2; a typed-only one carries TYPED alone with R2=1 (Minimac4 4.1). The latter
says nothing of the imputation, so it is counted and left out of every statistic of R2.
"""

from bisect import bisect_right
from collections.abc import Iterable

import msgspec

MAF_EDGES = (0.0, 0.001, 0.005, 0.01, 0.05)
"""Where bins of the minor allele frequency begin; an edge belongs to the bin above it, so that «MAF ≥ 1 %» is whole bins."""
MAF_BINS = len(MAF_EDGES) + 1
"""The last one is of sites without a frequency."""
R2_BINS = 100
ER2_BINS = 20
AF_BINS = 20
WINDOW_BASES = 1_000_000
MAX_WINDOWS = 4000
"""Of all chromosomes together; the human genome has about 3,100."""
MAX_CHROMOSOMES = 60
MAX_SUSPECTS = 100
SUSPECT_ER2, SUSPECT_R2 = 0.5, 0.8


def plain_text(text: str, most: int) -> str:
    """Give what of a text can be stored and shown, so many characters at most: files of services may hold anything."""
    text = text[:most]
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    )


class Chromosome(msgspec.Struct, kw_only=True):
    """The counts of one chromosome. `sum_r2` is over the `n_r2` imputed sites that have an R2."""

    name: str
    sites: int = 0
    typed: int = 0
    typed_only: int = 0
    imputed: int = 0
    n_r2: int = 0
    sum_r2: float = 0.0
    excluded: int = 0
    listed_typed_only: int = 0

    @property
    def mean_r2(self) -> float | None:
        return self.sum_r2 / self.n_r2 if self.n_r2 else None


class Window(msgspec.Struct):
    """The imputed sites of one stretch of 1 Mb: how many have an R2, and its mean. `start_mb` counts from 0."""

    chromosome: str
    start_mb: int
    n: int
    mean_r2: float


class Suspect(msgspec.Struct):
    """A typed site that the panel predicts badly although its R2 is high: maybe its alleles are exchanged."""

    chromosome: str
    position: int
    ref: str
    alt: str
    r2: float
    er2: float


class Tally:
    """Counts sites. `add_imputed` is what most sites need, and quick."""

    def __init__(self) -> None:
        self.imputed = [0] * (MAF_BINS * R2_BINS)
        self.maf_sites = [0] * MAF_BINS
        self.maf_r2 = [0.0] * MAF_BINS
        self.typed = [0] * (ER2_BINS * ER2_BINS)
        self.frequencies = [0] * AF_BINS
        self.n_frequency = 0
        self.sum_frequency = 0.0
        self.multiallelic = 0
        self.n_suspects = 0
        self.suspects: list[Suspect] = []
        self.n_er2 = 0
        self.sum_er2 = 0.0
        self.chromosomes: dict[str, Chromosome] = {}
        self.windows: list[Window] = []
        self._open: dict[tuple[str, int], list[float]] = {}

    def chromosome(self, name: str) -> Chromosome:
        """Give the counts of a chromosome; beyond sixty, names are counted together."""
        plain = plain_text(name.removeprefix("chr"), 40) or "?"
        if plain not in self.chromosomes and len(self.chromosomes) >= MAX_CHROMOSOMES:
            plain = "other"
        return self.chromosomes.setdefault(plain, Chromosome(name=plain))

    def add_imputed(
        self, where: Chromosome, position: int, af: float, maf: float, r2: float
    ) -> None:
        """Count an imputed site. What is not known is not a number."""
        where.imputed += 1
        place = bisect_right(MAF_EDGES, maf) - 1 if 0.0 <= maf <= 1.0 else MAF_BINS - 1
        self.maf_sites[place] += 1
        if 0.0 <= af <= 1.0:
            self.frequencies[int(af * AF_BINS) if af < 1.0 else AF_BINS - 1] += 1
            self.n_frequency += 1
            self.sum_frequency += af
        if not 0.0 <= r2 < 2.0:
            return
        # Minimac's numbers have a few decimals: 0.29 * 100 must not fall below 29.
        column = int(r2 * R2_BINS + 1e-9)
        self.imputed[place * R2_BINS + (column if column < R2_BINS else R2_BINS - 1)] += 1
        self.maf_r2[place] += r2
        where.n_r2 += 1
        where.sum_r2 += r2
        window = self._open.get((where.name, position // WINDOW_BASES))
        if window is None:
            if len(self._open) >= MAX_WINDOWS:
                return
            window = self._open[where.name, position // WINDOW_BASES] = [0, 0.0]
        window[0] += 1
        window[1] += r2

    def add_typed(
        self, where: Chromosome, position: int, alleles: tuple[bytes, bytes], r2: float, er2: float
    ) -> None:
        """Count a typed site."""
        where.typed += 1
        if not (0.0 <= r2 < 2.0 and 0.0 <= er2 < 2.0):
            return
        self.n_er2 += 1
        self.sum_er2 += er2
        row, column = (min(int(v * ER2_BINS + 1e-9), ER2_BINS - 1) for v in (er2, r2))
        self.typed[row * ER2_BINS + column] += 1
        if er2 < SUSPECT_ER2 and r2 > SUSPECT_R2:
            self.n_suspects += 1
            if len(self.suspects) < MAX_SUSPECTS:
                ref, alt = (
                    plain_text(text[:40].decode("ascii", "replace"), 40) for text in alleles
                )
                self.suspects.append(Suspect(where.name, position, ref, alt, r2, er2))

    def close_windows(self) -> Iterable[Window]:
        """Give the stretches, chromosome by chromosome."""
        order = {name: place for place, name in enumerate(self.chromosomes)}
        for (name, start), (n, total) in sorted(
            self._open.items(), key=lambda item: (order.get(item[0][0], 0), item[0][1])
        ):
            yield Window(name, start, int(n), round(total / n, 4))
