# Stands for an imputation: needs no container, no panel and nothing but what every Debian has.
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c]
arguments:
  - position: 0
    valueFrom: |
      if [ -e "$1" ]; then : >"$1.met"; fi
      while [ -e "$1" ]; do sleep 0.1; done
      if [ "$2" = fail ]; then
        echo "Error: no variant of the panel is in the input" >&2
        exit 3
      fi
      gzip -dc "$3" | sed "/^#CHROM/i ##imputed_with=$4" | gzip -n >imputed.vcf.gz
      echo "<h1>Imputed with $4</h1>" >report.html
  - position: 1
    valueFrom: imputation
inputs:
  # The run lasts as long as this file is there, and says so in a file beside it.
  hold: {type: string, inputBinding: {position: 2}}
  # `complete` or `fail`.
  ending: {type: string, inputBinding: {position: 3}}
  input_vcf: {type: File, inputBinding: {position: 4}}
  panel: {type: string, inputBinding: {position: 5}}
  # By which the run can be told apart where tags are not kept.
  job_id: string
outputs:
  imputed_vcf: {type: File, outputBinding: {glob: imputed.vcf.gz}}
  report: {type: File, outputBinding: {glob: report.html}}
