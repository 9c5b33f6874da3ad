r"""The sandbox imputation server: a small server that speaks Cloudgene 3, for trying things and for tests.

What it is
    Its own aiohttp application, of no kin with the platform (it imports none of it; only the
    commands start it). It speaks the HTTP dialect of Cloudgene 3.1 with the form of
    imputationserver2 2.0.12 (Michigan, AfriGen-D/H3Africa, TOPMed and others run these), warts
    included, and it *really imputes* where Debian's ``shapeit4``, ``minimac4``, ``bcftools`` and
    ``tabix`` are installed: chromosome 20, 1-4 Mb, GRCh37, against the 300 public 1000 Genomes
    samples of Debian's ``shapeit4-example``. Without them (or with ``engine="instant"``) it gives
    the uploaded genotypes back unchanged and says so in the steps, the QC report and the VCF header.

How it is cut
    ``engine``     input VCFs and options in, result files and progress messages out; no HTTP, no loop
    ``jobs``       the queue, the life of a job, what survives a restart
    ``cloudgene``  the dialect over the two; a second dialect goes beside it, on the same port
    ``control``    the side door ``/sandbox/...``: fault switches, counts, forced states
    ``server``     puts them together

Trying it by hand
    ``python -m app sandbox`` prints its address; ``demo-account.json`` in its data folder holds an account
    and a token. Then, as with any such server::

        curl -H "X-Auth-Token: $TOKEN" $URL/api/v2/server
        curl -H "X-Auth-Token: $TOKEN" -F refpanel=h3africa-sandbox -F population=afr -F password=fi-1234 \
             -F files=@chr20.vcf.gz $URL/api/v2/jobs/submit/imputationserver2
        curl -X PUT -H "Content-Type: application/json" -d '{"maintenance": true}' $URL/sandbox/faults

    All switches are described in ``app.sandbox.faults``.

What differs from a real server
    - Three panels are offered; all hold the same 300 European haplotypes of the 1000 Genomes Project.
    - ``eagle`` and ``beagle`` are both done by SHAPEIT4, and the reports name it.
    - There is no lift-over, no chromosome X, no HLA or polygenic-score application, and no mail: the
      password of the results is printed in the last step, as on real sites without mail.
    - A real site waits days before it announces the deletion of results; here that is a setting.
    - Job ids never collide, where the original's (milliseconds) may.
    - Nobody is asked before an account is made: never put it where strangers reach it.
"""
