r"""The sandbox imputation server: a small server that speaks the Michigan family's dialects and GA4GH WES, for trying things and for tests.

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
    ``cloudgene``  the dialect of Cloudgene over the two
    ``cloudgene2`` Cloudgene 2 with imputationserver 1 in its place: what differs
    ``simple``     the dialect of the platform's original design in its place
    ``wes``        the dialect of GA4GH WES 1.1 beside it, on the same port under ``/ga4gh/wes/v1``
    ``control``    the side door ``/sandbox/...``: fault switches, counts, forced states
    ``server``     puts them together

Trying it by hand
    ``python -m app sandbox`` prints its address; ``demo-account.json`` in its data folder holds an account
    and a token. Then, as with any such server::

        curl -H "X-Auth-Token: $TOKEN" $URL/api/v2/server
        curl -H "X-Auth-Token: $TOKEN" -F refpanel=h3africa-sandbox -F population=afr -F password=fi-1234 \
             -F files=@chr20.vcf.gz $URL/api/v2/jobs/submit/imputationserver2
        curl -X PUT -H "Content-Type: application/json" -d '{"maintenance": true}' $URL/sandbox/faults

    The same by WES, with plain result files instead of encrypted archives::

        curl -H "Authorization: Bearer $TOKEN" -F workflow_type=NFL -F workflow_type_version=DSL2 \
             -F workflow_url=imputation.nf -F workflow_attachment=@chr20.vcf.gz \
             -F 'workflow_params={"input": "chr20.vcf.gz", "panel": "h3africa-sandbox", "population": "afr"}' \
             $URL/ga4gh/wes/v1/runs

    ``input`` names attachments or links, separated by spaces; the optional ``upload_url`` is where the
    results are PUT, ``upload_url/NAME``.

    ``python -m app sandbox --dialect cloudgene2`` (or ``topmed``, ``simple``) speaks another member of the family;
    the simple one takes one file without an app::

        curl -H "X-Auth-Token: $TOKEN" -F refpanel=h3africa -F build=hg19 -F phasing=eagle -F mode=imputation \
             -F input-files=@chr20.vcf.gz $URL/api/v2/jobs/submit
        curl -H "X-Auth-Token: $TOKEN" -o results.zip $URL/api/v2/jobs/$JOB/results

    All switches are described in ``app.sandbox.faults``.

What differs from a real server
    - As Cloudgene 2 it runs the pipeline of imputationserver 2, so messages and file names are that one's.
    - The simple dialect's cancel is the family's; its documents name none.
    - Three panels are offered; all hold the same 300 European haplotypes of the 1000 Genomes Project.
    - ``eagle`` and ``beagle`` are both done by SHAPEIT4, and the reports name it.
    - There is no lift-over, no chromosome X, no HLA or polygenic-score application, and no mail: the
      password of the results is printed in the last step, as on real sites without mail.
    - A real site waits days before it announces the deletion of results; here that is a setting.
    - Job ids never collide, where the original's (milliseconds) may.
    - Nobody is asked before an account is made: never put it where strangers reach it.
"""
