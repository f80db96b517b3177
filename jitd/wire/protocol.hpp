// The socket protocol, as data: header, verbs, tags. docs/PROTOCOL.md has it byte by byte. Freestanding: no heap, no
// exceptions, nothing but the core language, so that pam_jit.so can carry it into sudo and sshd.
//
// SOCK_SEQPACKET, one frame a datagram: header, then TLV fields. All integers little-endian.
//   header  u32 magic "JIT1" · u16 version · u16 verb · u32 length of the fields · u32 id (the reply repeats it)
//   field   u16 tag · u16 length · bytes
// A request gets zero or more `item` frames and then one `result` frame. Unknown tags are skipped, unknown verbs
// answered with status usage; both sides check the peer (SO_PEERCRED), uid 0 for the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jit::wire {

inline constexpr std::uint32_t kMagic = 0x3154494a;  // "JIT1"
inline constexpr std::uint16_t kVersion = 1;         // readable one release back and forth
inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kMaxFrame = 65536;
inline constexpr std::size_t kMaxField = 0xffff - 4;  // of one field; the frame's own limit comes first

inline constexpr const char* kCheckSocket = "/run/jit/check.sock";      // 0600, peers of uid 0
inline constexpr const char* kControlSocket = "/run/jit/control.sock";  // 0666, the peer's credentials decide
inline constexpr const char* kBoardFile = "/run/jit/board";             // 0600
inline constexpr const char* kLoginNotes = "/run/jit/logins";           // 0700, of jitd and of the module
inline constexpr const char* kCommandNotes = "/run/jit/commands";       // there only where jitd goes by notes

enum class Verb : std::uint16_t {
  // server to client
  result = 1,  // status, message, and the verb's own fields; ends the reply
  item = 2,    // one row of a reply
  // check.sock
  check = 16,  // Query -> Answer
  ask = 17,    // DoorAsk -> DoorSaid, several; a session at the door
  // control.sock
  status = 32,   // own requests and grants, and how the daemon is
  roles,         // what the caller may ask for
  request,       // role, duration, reason, ticket -> id, state, document
  show,          // id (prefix) -> everything about one request or grant that the caller may see
  list,          // grants and requests; own, or all for root and approvers
  pending,       // requests that the caller may review, with their documents
  wait,          // id, known state, timeout -> when the state changed
  release,       // id or all: end own grants; root any
  submit,        // document: what import, approve, deny, grant, revoke, lock and unlock send
  export_,       // id -> the document with all signatures that came
  lift,          // root: lift a lock on a user, unsigned, audited with loginuid
  audit,         // root: entries from a number on
  observed,      // root: whom the observed gates would have denied
  health,        // root: what doctor wants to know
  accept_clock,  // root: take over the wall clock as it is
  inspect,       // digest of the host's policy, host name, host key: what jitctl needs to make documents
  enrol,         // root: what this host is to be trusted by; "keep" or "new": after it was moved or copied
};

// Who may call a verb, judged from SO_PEERCRED alone before the handler runs.
enum class Caller : std::uint8_t { anyone, root };

struct VerbRule {
  Verb verb;
  Caller caller;
  std::string_view name;
};

// clang-format off
// Every verb that control.sock takes. The dispatcher refuses what is not here.
inline constexpr VerbRule kControlVerbs[] = {
    {Verb::status, Caller::anyone, "status"},   {Verb::roles, Caller::anyone, "roles"},
    {Verb::request, Caller::anyone, "request"}, {Verb::show, Caller::anyone, "show"},
    {Verb::list, Caller::anyone, "list"},       {Verb::pending, Caller::anyone, "pending"},
    {Verb::wait, Caller::anyone, "wait"},       {Verb::release, Caller::anyone, "release"},
    {Verb::submit, Caller::anyone, "submit"},   {Verb::export_, Caller::anyone, "export"},
    {Verb::lift, Caller::root, "lift"},         {Verb::audit, Caller::root, "audit"},
    {Verb::observed, Caller::root, "observed"}, {Verb::health, Caller::root, "health"},
    {Verb::accept_clock, Caller::root, "accept_clock"}, {Verb::inspect, Caller::anyone, "inspect"},
    {Verb::enrol, Caller::root, "enrol"},
};
// clang-format on

// How a request came out; jitctl's exit codes (jitctl(1)).
enum class Status : std::uint32_t { done = 0, failed = 1, usage = 2, pending = 3, unreachable = 4, refused = 5 };

enum class FieldType : std::uint8_t { number, text, bytes };  // number: u64, 8 bytes

// clang-format off
// Fields by number. A tag keeps its meaning for ever; text is UTF-8, checked and escaped by whoever shows it.
// docs/PROTOCOL.md says which may repeat in a frame.
enum class Tag : std::uint16_t {
  status = 1, message = 2,
  // check: query
  phase = 16, service, subject, subject_uid, target, tty, rhost, pid, started, line_enforces,
  // check: answer
  verdict = 32, gate, grant,
  // documents, requests, grants
  id = 48, digest, kind, state, user, uid, role, host, duration, reason, ticket, created, expires, not_before, not_after,
  requester, effects, waiting_for, signer, verdict_text, rule, document, end_reason, ended_at, limit, remaining,
  description, opens, group, command, eligible, held, all, comment, host_key, policy, warning, note, count, sequence,
  time, event, hash, previous, actor, detail, name, value, origin, approvals, have, line, file, yes, on_end, segment,
  start, extends, once, machine,
};

struct TagRule {
  Tag tag;
  FieldType type;
  std::string_view name;  // also the key in `jitctl --json`
};

inline constexpr TagRule kTags[] = {
    {Tag::status, FieldType::number, "status"},       {Tag::message, FieldType::text, "message"},
    {Tag::phase, FieldType::number, "phase"},         {Tag::service, FieldType::text, "service"},
    {Tag::subject, FieldType::text, "subject"},       {Tag::subject_uid, FieldType::number, "subject_uid"},
    {Tag::target, FieldType::text, "target"},         {Tag::tty, FieldType::text, "tty"},
    {Tag::rhost, FieldType::text, "rhost"},           {Tag::pid, FieldType::number, "pid"},
    {Tag::started, FieldType::number, "started"},     {Tag::line_enforces, FieldType::number, "line_enforces"},
    {Tag::verdict, FieldType::number, "verdict"},
    {Tag::gate, FieldType::text, "gate"},             {Tag::grant, FieldType::text, "grant"},
    {Tag::id, FieldType::text, "id"},                 {Tag::digest, FieldType::text, "digest"},
    {Tag::kind, FieldType::text, "kind"},             {Tag::state, FieldType::text, "state"},
    {Tag::user, FieldType::text, "user"},             {Tag::uid, FieldType::number, "uid"},
    {Tag::role, FieldType::text, "role"},             {Tag::host, FieldType::text, "host"},
    {Tag::duration, FieldType::number, "duration"},   {Tag::reason, FieldType::text, "reason"},
    {Tag::ticket, FieldType::text, "ticket"},         {Tag::created, FieldType::number, "created"},
    {Tag::expires, FieldType::number, "expires"},     {Tag::not_before, FieldType::number, "not_before"},
    {Tag::not_after, FieldType::number, "not_after"}, {Tag::requester, FieldType::text, "requester"},
    {Tag::effects, FieldType::text, "effects"},       {Tag::waiting_for, FieldType::text, "waiting_for"},
    {Tag::signer, FieldType::text, "signer"},         {Tag::verdict_text, FieldType::text, "verdict_text"},
    {Tag::rule, FieldType::text, "rule"},             {Tag::document, FieldType::bytes, "document"},
    {Tag::end_reason, FieldType::text, "end_reason"}, {Tag::ended_at, FieldType::number, "ended_at"},
    {Tag::limit, FieldType::number, "limit"},         {Tag::remaining, FieldType::number, "remaining"},
    {Tag::description, FieldType::text, "description"}, {Tag::opens, FieldType::text, "opens"},
    {Tag::group, FieldType::text, "group"},           {Tag::command, FieldType::text, "command"},
    {Tag::eligible, FieldType::text, "eligible"},     {Tag::held, FieldType::text, "held"},
    {Tag::all, FieldType::number, "all"},             {Tag::comment, FieldType::text, "comment"},
    {Tag::host_key, FieldType::text, "host_key"},     {Tag::policy, FieldType::text, "policy"},
    {Tag::warning, FieldType::text, "warning"},       {Tag::note, FieldType::text, "note"},
    {Tag::count, FieldType::number, "count"},         {Tag::sequence, FieldType::number, "sequence"},
    {Tag::time, FieldType::number, "time"},           {Tag::event, FieldType::text, "event"},
    {Tag::hash, FieldType::text, "hash"},             {Tag::previous, FieldType::text, "previous"},
    {Tag::actor, FieldType::text, "actor"},           {Tag::detail, FieldType::text, "detail"},
    {Tag::name, FieldType::text, "name"},             {Tag::value, FieldType::text, "value"},
    {Tag::origin, FieldType::text, "origin"},         {Tag::approvals, FieldType::number, "approvals"},
    {Tag::have, FieldType::number, "have"},           {Tag::line, FieldType::number, "line"},
    {Tag::file, FieldType::text, "file"},             {Tag::yes, FieldType::number, "yes"},
    {Tag::on_end, FieldType::text, "on_end"},         {Tag::segment, FieldType::text, "segment"},
    {Tag::start, FieldType::number, "start"},         {Tag::extends, FieldType::text, "extends"},
    {Tag::once, FieldType::number, "once"},           {Tag::machine, FieldType::text, "machine"},
};
// clang-format on

}  // namespace jit::wire
