# fish completion for jitctl(1).

function __jitctl_at
    set -l words (commandline -opc | string match -v -- '-*')
    test (count $words) -eq (math (count $argv) + 1); and test "$words[2..-1]" = "$argv"
end
function __jitctl_in
    set -l words (commandline -opc | string match -v -- '-*')
    test (count $words) -gt (count $argv); and test "$words[2.."(math (count $argv) + 1)"]" = "$argv"
end

complete -c jitctl -f
complete -c jitctl -l json -d 'Print JSON for programs'
complete -c jitctl -s h -l help -d 'Help'
complete -c jitctl -n '__jitctl_at' -l version -d 'Version'
complete -c jitctl -n '__jitctl_at' -a roles -d 'What you may ask for'
complete -c jitctl -n '__jitctl_at' -a request -d 'Ask for a role'
complete -c jitctl -n '__jitctl_at' -a extend -d 'Ask to keep a role for longer'
complete -c jitctl -n '__jitctl_at' -a run -d 'Run one command with the least role for it'
complete -c jitctl -n '__jitctl_at' -a status -d 'What you hold and wait for'
complete -c jitctl -n '__jitctl_at' -a show -d 'Everything about one request or grant'
complete -c jitctl -n '__jitctl_at' -a list -d 'Grants and requests'
complete -c jitctl -n '__jitctl_at' -a release -d 'Give a grant back, withdraw a request'
complete -c jitctl -n '__jitctl_at' -a pending -d 'What waits for your review'
complete -c jitctl -n '__jitctl_at' -a approve -d 'Review: yes'
complete -c jitctl -n '__jitctl_at' -a deny -d 'Review: no'
complete -c jitctl -n '__jitctl_at' -a grant -d 'Grant without a request'
complete -c jitctl -n '__jitctl_at' -a sign -d 'Add your signature'
complete -c jitctl -n '__jitctl_at' -a payload -d 'Print the signed bytes'
complete -c jitctl -n '__jitctl_at' -a revoke -d 'End grants and requests'
complete -c jitctl -n '__jitctl_at' -a lock -d 'Refuse what comes'
complete -c jitctl -n '__jitctl_at' -a unlock -d 'Lift a lock'
complete -c jitctl -n '__jitctl_at' -a hosts -d 'Hosts that you know'
complete -c jitctl -n '__jitctl_at' -a import -d 'Hand documents to jitd'
complete -c jitctl -n '__jitctl_at' -a export -d 'Write documents'
complete -c jitctl -n '__jitctl_at' -a verify -d 'Check a document'
complete -c jitctl -n '__jitctl_at' -a source -d 'Mailboxes'
complete -c jitctl -n '__jitctl_at' -a policy -d 'What the policy says'
complete -c jitctl -n '__jitctl_at' -a gate -d 'Which PAM services ask for a grant'
complete -c jitctl -n '__jitctl_at' -a audit -d 'What was decided'
complete -c jitctl -n '__jitctl_at' -a replay -d 'What was recorded under a grant'
complete -c jitctl -n '__jitctl_at' -a trust -d 'Whose signatures count'
complete -c jitctl -n '__jitctl_at' -a enrol -d 'Make this host known'
complete -c jitctl -n '__jitctl_at' -a doctor -d 'What would lock you out'
complete -c jitctl -n '__jitctl_at' -a setup -d 'First steps'
complete -c jitctl -n '__jitctl_at' -a source -d 'Where documents travel through'
complete -c jitctl -n '__jitctl_at source' -a ssh -d 'The mailbox of this host over ssh'
complete -c jitctl -n '__jitctl_at source ssh' -a 'on off status'

# -m and -o, --key, --on and --segment, of every command that has them.
for command in request extend run approve deny grant revoke lock unlock
    complete -c jitctl -n "__jitctl_in $command" -s m -l message -x -d Why
end
for command in request extend approve deny grant sign revoke lock unlock
    complete -c jitctl -n "__jitctl_in $command" -s o -l output -rF -d 'Write it there'
end
for command in request extend show export approve deny grant sign revoke lock unlock
    complete -c jitctl -n "__jitctl_in $command" -l qr -d 'Print it as QR codes'
end
for command in approve deny grant sign revoke lock unlock
    complete -c jitctl -n "__jitctl_in $command" -l key -rF -d 'Sign with this key'
end
for command in grant revoke lock unlock
    complete -c jitctl -n "__jitctl_in $command" -l on -x -a '(__fish_print_hostnames)' -d Host
    complete -c jitctl -n "__jitctl_in $command" -l segment -x -d Segment
end
for command in request extend grant
    complete -c jitctl -n "__jitctl_in $command" -s t -l ticket -x -d Ticket
end
for command in request approve grant
    complete -c jitctl -n "__jitctl_in $command" -l start -x -d 'Not before'
end
for command in approve deny
    complete -c jitctl -n "__jitctl_in $command" -F
    complete -c jitctl -n "__jitctl_in $command" -l hosts -rF -d 'Host keys you know'
    complete -c jitctl -n "__jitctl_in $command" -l yes -d 'Do not ask'
end
for command in sign payload import verify
    complete -c jitctl -n "__jitctl_in $command" -F
end

complete -c jitctl -n '__jitctl_in roles' -l all -d 'Those not for you too'
complete -c jitctl -n '__jitctl_in extend' -l no-wait -d 'Do not wait'
complete -c jitctl -n '__jitctl_in run' -l role -x -d 'This role'
complete -c jitctl -n '__jitctl_in run' -l for -x -a '30m 1h 2h' -d 'At most'
complete -c jitctl -n '__jitctl_in status' -l prompt -d 'Short form for a prompt'
complete -c jitctl -n '__jitctl_in list' -l all -d 'Of others too'
complete -c jitctl -n '__jitctl_in list' -l ended -d 'Those over too'
complete -c jitctl -n '__jitctl_in release' -l all -d 'All of yours'
complete -c jitctl -n '__jitctl_in approve' -l for -x -a '30m 1h 2h' -d 'For less'
complete -c jitctl -n '__jitctl_in grant' -l user -x -a '(__fish_complete_users)' -d Who
complete -c jitctl -n '__jitctl_in grant' -l role -x -d Role
complete -c jitctl -n '__jitctl_in grant' -l for -x -a '30m 1h 2h' -d 'How long'
complete -c jitctl -n '__jitctl_in grant' -l until -x -d 'Until when'
complete -c jitctl -n '__jitctl_in grant' -l once -d 'For one session'
complete -c jitctl -n '__jitctl_in sign' -l yes -d 'Do not ask'
complete -c jitctl -n '__jitctl_in revoke' -l user -x -a '(__fish_complete_users)' -d 'Of this user'
complete -c jitctl -n '__jitctl_in revoke' -l approver -x -d 'Approved by'
complete -c jitctl -n '__jitctl_in revoke' -l all -d Everything
complete -c jitctl -n '__jitctl_in revoke' -l list -d 'Make it a numbered list'
complete -c jitctl -n '__jitctl_in revoke' -l number -x -d 'Of the list'
complete -c jitctl -n '__jitctl_in revoke' -l next-update -x -a '1h 1d' -d 'When the next list is due'
for command in policy trust
    complete -c jitctl -n "__jitctl_in $command sign" -F
    complete -c jitctl -n "__jitctl_in $command sign" -l number -x -d 'Above the last delivery'
    complete -c jitctl -n "__jitctl_in $command sign" -l on -x -d Host
    complete -c jitctl -n "__jitctl_in $command sign" -l segment -x -d Segment
    complete -c jitctl -n "__jitctl_in $command sign" -s m -l message -x -d Why
    complete -c jitctl -n "__jitctl_in $command sign" -l key -r -d Key
    complete -c jitctl -n "__jitctl_in $command sign" -s o -l output -r -d Folder
end
complete -c jitctl -n '__jitctl_in lock' -a '(__fish_complete_users)'
complete -c jitctl -n '__jitctl_in lock' -l fingerprint -x -d Key
complete -c jitctl -n '__jitctl_in lock' -l approver -x -d Approver
complete -c jitctl -n '__jitctl_in lock' -l until -x -d 'Until when'
complete -c jitctl -n '__jitctl_in unlock' -a '(__fish_complete_users)'
complete -c jitctl -n '__jitctl_in unlock' -l lock -rF -d 'The lock'
complete -c jitctl -n '__jitctl_in export' -l all -d 'All you may see'
complete -c jitctl -n '__jitctl_in export' -l to -x -a '(__fish_complete_directories)' -d Directory
complete -c jitctl -n '__jitctl_in verify' -l approvers -rF -d 'Trust file'
complete -c jitctl -n '__jitctl_in verify' -l hosts -rF -d 'Host keys you know'
# Of hosts elsewhere.
for command in request status show pending approve deny grant revoke lock unlock hosts import export
    complete -c jitctl -n "__jitctl_in $command" -l source -x -a '(__fish_complete_directories)' -d 'Where hosts elsewhere are reached'
end
for command in request approve deny grant revoke lock unlock import
    complete -c jitctl -n "__jitctl_in $command" -l wait -x -a '10s 1m 10m 1h' -d 'For answers'
    complete -c jitctl -n "__jitctl_in $command" -l no-wait -d 'Do not wait'
end
for command in grant revoke lock unlock
    complete -c jitctl -n "__jitctl_in $command" -l on-all -d 'Every host that you know'
end
complete -c jitctl -n '__jitctl_in request' -l on -x -a '(__fish_print_hostnames)' -d 'Host elsewhere'
complete -c jitctl -n '__jitctl_in request' -l segment -x -d Segment
complete -c jitctl -n '__jitctl_in request' -l key -rF -d 'Sign with this key'
complete -c jitctl -n '__jitctl_in request' -l user -x -d 'Your name there'
complete -c jitctl -n '__jitctl_in pending' -l watch -d 'Keep looking'
complete -c jitctl -n '__jitctl_in hosts' -x -a '(__fish_print_hostnames)'
complete -c jitctl -n '__jitctl_in hosts' -l forget -d 'What was seen of these'
complete -c jitctl -n '__jitctl_in enrol' -l keep-key -d 'The host was moved or changed'
complete -c jitctl -n '__jitctl_in enrol' -l new-key -d 'This is a copy of another host'
complete -c jitctl -n '__jitctl_at source' -a 'list check clean init-folder index init ssh'
for command in check clean init-folder
    complete -c jitctl -n "__jitctl_at source $command" -a '(__fish_complete_directories)'
end
complete -c jitctl -n '__jitctl_in source init' -l host -x -a '(__fish_print_hostnames)' -d 'A host'
complete -c jitctl -n '__jitctl_in source init' -l segment -x -d Segment
complete -c jitctl -n '__jitctl_in source init' -l approver -x -d 'An approver'
complete -c jitctl -n '__jitctl_in source init' -l asker -x -d 'Somebody who asks'
complete -c jitctl -n '__jitctl_in source init' -l on -x -a '(__fish_print_hostnames)' -d 'Host that may be asked'
complete -c jitctl -n '__jitctl_in source init' -s o -l output -rF -d 'The password goes there'
complete -c jitctl -n '__jitctl_in source init' -l new-password -d 'Another password'
complete -c jitctl -n '__jitctl_in source init' -l remove -d 'User and role'
complete -c jitctl -n '__jitctl_in source init' -l enable-auth -d 'Turn on authentication'
complete -c jitctl -n '__jitctl_in source init' -l admin -x -d 'Who changes users'
complete -c jitctl -n '__jitctl_in source init' -l admin-password-file -rF -d 'Their password'
complete -c jitctl -n '__jitctl_in source init' -l ca -rF -d 'Of the server'
complete -c jitctl -n '__jitctl_in source init' -l certificate -rF -d Ours
complete -c jitctl -n '__jitctl_in source init' -l key -rF -d 'Its key'
complete -c jitctl -n '__jitctl_in source check' -l write -d 'Also put something there'
complete -c jitctl -n '__jitctl_in source clean' -l segment -x -d 'Also of this segment'
complete -c jitctl -n '__jitctl_in source clean' -l dry-run -d 'Only count'
complete -c jitctl -n '__jitctl_at policy' -a 'check show explain sign'
complete -c jitctl -n '__jitctl_in policy check' -a '(__fish_complete_directories)'
complete -c jitctl -n '__jitctl_in policy show' -l dir -x -a '(__fish_complete_directories)' -d Directory
complete -c jitctl -n '__jitctl_in policy explain' -l dir -x -a '(__fish_complete_directories)' -d Directory
complete -c jitctl -n '__jitctl_in policy explain' -l user -x -a '(__fish_complete_users)' -d 'Who asks'
complete -c jitctl -n '__jitctl_in policy explain' -l duration -x -a '30m 1h 2h' -d 'For how long'
complete -c jitctl -n '__jitctl_in policy explain' -l ticket -x -d Ticket
complete -c jitctl -n '__jitctl_at source' -a 'index'
complete -c jitctl -n '__jitctl_at source index' -x -a '(__fish_complete_directories)'
complete -c jitctl -n '__jitctl_at gate' -a 'list observe enforce confirm off'
for command in observe enforce confirm off
    complete -c jitctl -n "__jitctl_at gate $command" -a '(path basename /etc/pam.d/*)'
end
complete -c jitctl -n '__jitctl_in gate observe' -l exempt -x -d 'Never asked'
complete -c jitctl -n '__jitctl_in gate enforce' -l request -d 'Ask at the door'
complete -c jitctl -n '__jitctl_in gate enforce' -l exempt -x -d 'Never asked'
complete -c jitctl -n '__jitctl_in gate enforce' -l confirm -x -a '10m 30m' -d 'Fall back after'
complete -c jitctl -n '__jitctl_in gate enforce' -l proof -rF -d 'Test signature'
complete -c jitctl -n '__jitctl_in gate enforce' -l key -rF -d 'Make it with this key'
complete -c jitctl -n '__jitctl_in gate enforce' -l yes -d 'Do not ask'
complete -c jitctl -n '__jitctl_in gate off' -l end-grants -d 'End grants with sudo first'
complete -c jitctl -n '__jitctl_at audit' -a 'log verify'
complete -c jitctl -n '__jitctl_in audit log' -l from -x -d 'First entry'
complete -c jitctl -n '__jitctl_in audit log' -s n -l count -x -d 'At most'
complete -c jitctl -n '__jitctl_in audit log' -l user -x -a '(__fish_complete_users)' -d About
complete -c jitctl -n '__jitctl_in replay' -l list -d 'Play none'
complete -c jitctl -n '__jitctl_in replay' -l speed -x -d 'So many times as fast'
complete -c jitctl -n '__jitctl_in replay' -l max-wait -x -d 'Cut pauses to seconds'
complete -c jitctl -n '__jitctl_in audit verify' -l head -x -d 'Hash in the chain'
complete -c jitctl -n '__jitctl_at trust' -a 'add add-host list remove sign'
complete -c jitctl -n '__jitctl_in trust add-host' -F
complete -c jitctl -n '__jitctl_in trust add-host' -l replace -d 'It has this key now'
complete -c jitctl -n '__jitctl_in trust add-host' -l file -rF -d File
complete -c jitctl -n '__jitctl_in trust add' -F
complete -c jitctl -n '__jitctl_in trust add' -l principal -x -d Whose
complete -c jitctl -n '__jitctl_in trust add' -l file -x -a 'approvers hosts requesters' -d File
complete -c jitctl -n '__jitctl_in trust add' -l valid-before -x -d Until
complete -c jitctl -n '__jitctl_in trust add' -l valid-after -x -d From
complete -c jitctl -n '__jitctl_in trust list' -l file -x -a 'approvers hosts requesters' -d File
complete -c jitctl -n '__jitctl_in trust remove' -l file -x -a 'approvers hosts requesters' -d File
complete -c jitctl -n '__jitctl_in doctor' -l accept-clock -d 'Take the clock over as it is'
complete -c jitctl -n '__jitctl_in doctor' -l all -d 'Also what is fine'
complete -c jitctl -n '__jitctl_in setup' -l host -x -d 'Name of this host'
complete -c jitctl -n '__jitctl_in setup' -l approver -x -d 'NAME=KEYFILE'
complete -c jitctl -n '__jitctl_in setup' -l proof -rF -d 'Test signature'
complete -c jitctl -n '__jitctl_in setup' -l unproven -d 'Trust without a test signature'
complete -c jitctl -n '__jitctl_in setup' -l role -x -d 'First role'
complete -c jitctl -n '__jitctl_in setup' -l groups -x -a '(__fish_complete_groups)' -d 'Groups it gives'
complete -c jitctl -n '__jitctl_in setup' -l eligible -x -a '(__fish_complete_users)' -d 'Who may ask'
complete -c jitctl -n '__jitctl_in setup' -l gate -x -a 'sshd login sudo su' -d 'Watch this service'
complete -c jitctl -n '__jitctl_in setup' -l exempt -x -d 'Never asked'
complete -c jitctl -n '__jitctl_in setup' -l yes -d 'Ask nothing'
