# bash completion for jitctl(1): subcommands and options; ids and roles come from jitd when it answers.

_jitctl_ids() { jitctl --json "$@" 2>/dev/null | grep -o '"id":"[^"]*"' | cut -d'"' -f4; }

_jitctl_sources() { jitctl --json source list 2>/dev/null | grep -o '"of":"you","name":"[^"]*"' | cut -d'"' -f8; }

_jitctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' below='' word i
  local commands='roles request extend run status show list release pending approve deny grant sign payload revoke lock unlock
    hosts import export verify source policy gate audit replay trust enrol doctor setup'
  local far='--source --wait --no-wait'
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    [[ $word == -* ]] && continue
    if [[ -z $command ]]; then command=$word
    elif [[ -z $below ]]; then below=$word
    fi
  done

  case $prev in
    --key|-o|--output|--hosts|--approvers|--proof|--lock) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --to|--dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    --user|--eligible) COMPREPLY=($(compgen -u -- "$cur")); return ;;
    --groups) COMPREPLY=($(compgen -g -- "$cur")); return ;;
    --gate) COMPREPLY=($(compgen -W 'sshd login sudo su' -- "$cur")); return ;;
    --file) COMPREPLY=($(compgen -W 'approvers hosts requesters' -- "$cur") $(compgen -f -- "$cur")); return ;;
    --source) COMPREPLY=($(compgen -W "$(_jitctl_sources)" -- "$cur") $(compgen -d -- "$cur")); return ;;
    --for|--confirm|--duration|--wait) COMPREPLY=($(compgen -W '10m 30m 1h 2h 4h' -- "$cur")); return ;;
    -m|--message|-t|--ticket|--until|--start|--on|--segment|--role|--approver|--fingerprint|--head|--from|-n|--count|--host|\
    --speed|--max-wait|--principal|--valid-before|--valid-after|--exempt) return ;;
  esac

  local options='--json --help -h' words=''
  case $command in
    '') options+=' --version'; words=$commands ;;
    roles) options+=' --all' ;;
    request) options+=" -m --message -t --ticket --start -o --output --on --segment --key --user $far"
      [[ -z $below ]] && words=$(jitctl --json roles 2>/dev/null | grep -o '"role":"[^"]*"' | cut -d'"' -f4) ;;
    extend) options+=' -m --message -t --ticket --no-wait -o --output'; words=$(_jitctl_ids list) ;;
    run) options+=' --role -m --message --for --' ;;
    status) options+=' --prompt --source' ;;
    show) options+=' --source'; words=$(_jitctl_ids list --all) ;;
    list) options+=' --all --ended' ;;
    release) options+=' --all'; words=$(_jitctl_ids list) ;;
    pending) options+=' --watch --source' ;;
    approve) options+=" --for --start -m --message --hosts --yes --key -o --output $far"; words=$(_jitctl_ids pending) ;;
    deny) options+=" -m --message --hosts --yes --key -o --output $far"; words=$(_jitctl_ids pending) ;;
    grant) options+=" --user --role --on --segment --on-all --for --until --start --once -m --message -t --ticket --key -o --output $far" ;;
    sign) options+=' --key -o --output --yes' ;;
    payload) ;;
    revoke) options+=" --user --approver --all --list --number --next-update --on --segment --on-all -m --message --key -o --output $far"; words=$(_jitctl_ids list --all) ;;
    lock) options+=" --fingerprint --approver --until --on --segment --on-all -m --message --key -o --output $far"; words=$(compgen -u) ;;
    unlock) options+=" --lock -m --message --on --segment --on-all --key -o --output $far"; words=$(compgen -u) ;;
    hosts) options+=' --source --forget'; words=$(compgen -A hostname) ;;
    import) options+=" $far" ;;
    export) options+=' --all --to --source'; words=$(_jitctl_ids list --all) ;;
    verify) options+=' --approvers --hosts' ;;
    source)
      case $below in
        '') words='list check clean init-folder index init ssh' ;;
        list) ;;
        check) options+=' --write'; words=$(_jitctl_sources) ;;
        clean) options+=' --segment --dry-run'; words=$(_jitctl_sources) ;;
        init-folder) ;;
        init) options+=' --host --segment --approver --asker --on -o --output --new-password --remove --enable-auth --admin --admin-password-file --ca --certificate --key' ;;
        index) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        ssh) words='on off status' ;;
      esac ;;
    policy)
      case $below in
        '') words='check show explain sign' ;;
        check) ;;
        show) options+=' --dir' ;;
        explain) options+=' --user --duration --ticket --dir' ;;
        sign) options+=' --number --on --segment -m --message --key -o --output' ;;
      esac ;;
    gate)
      case $below in
        '') words='list observe enforce confirm off' ;;
        list) ;;
        observe) options+=' --exempt'; words=$(command ls /etc/pam.d 2>/dev/null) ;;
        enforce) options+=' --exempt --confirm --proof --key --request --yes'; words=$(command ls /etc/pam.d 2>/dev/null) ;;
        confirm) words=$(command ls /etc/pam.d 2>/dev/null) ;;
        off) options+=' --end-grants'; words=$(command ls /etc/pam.d 2>/dev/null) ;;
      esac ;;
    replay) options+=' --list --speed --max-wait'; words=$(_jitctl_ids list --all --ended) ;;
    audit)
      case $below in
        '') words='log verify' ;;
        log) options+=' --from -n --count --user' ;;
        verify) options+=' --head' ;;
      esac ;;
    trust)
      case $below in
        '') words='add add-host list remove sign' ;;
        add-host) options+=' --replace --file' ;;
        add) options+=' --principal --file --valid-before --valid-after' ;;
        list) options+=' --file' ;;
        remove) options+=' --file' ;;
        sign) options+=' --number --on --segment -m --message --key -o --output' ;;
      esac ;;
    enrol) options+=' --keep-key --new-key' ;;
    doctor) options+=' --accept-clock --all' ;;
    setup) options+=' --host --approver --proof --unproven --role --groups --eligible --gate --exempt --yes' ;;
  esac

  case $command in
    request|extend|show|export|approve|deny|grant|sign|revoke|lock|unlock) options+=' --qr' ;;
  esac

  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  case $command:$below in
    approve:*|deny:*|sign:*|payload:*|import:*|verify:*|policy:check|policy:sign|trust:add|trust:sign|trust:add-host|source:check|source:clean|\
    source:init-folder) COMPREPLY+=($(compgen -f -- "$cur")) ;;
  esac
}
complete -o filenames -o bashdefault -F _jitctl jitctl
