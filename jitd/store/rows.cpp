#include "jitd/store/rows.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "policy/text.hpp"

namespace jit {

std::string_view to_text(GrantState state) {
  switch (state) {
    case GrantState::pending:
      return "pending";
    case GrantState::activating:
      return "activating";
    case GrantState::active:
      return "active";
    case GrantState::ended:
      return "ended";
    case GrantState::refused:
      return "refused";
  }
  return "refused";
}

namespace rows {
namespace {

std::int64_t as_int(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::string text_at(const SQLite::Statement& statement, int index) {
  return statement.getColumn(index).getString();
}
std::int64_t int_at(const SQLite::Statement& statement, int index) {
  return statement.getColumn(index).getInt64();
}

Error damaged(std::string_view what) {
  return {Errc::invalid, "the database has a damaged row: " + std::string(what), 0};
}

std::optional<GrantState> state_of(std::string_view text) {
  for (const GrantState state :
       {GrantState::pending, GrantState::activating, GrantState::active, GrantState::ended, GrantState::refused}) {
    if (to_text(state) == text) return state;
  }
  return std::nullopt;
}

// Moves a result's value into `into`, or its error into `failed`; the first error stays.
template <class T>
void take(Result<T> from, T& into, std::optional<Error>& failed) {
  if (from) {
    into = std::move(*from);
  } else if (!failed) {
    failed = from.error();
  }
}

template <class T>
void deliver(T&& value, const std::optional<Error>& failed, Result<std::decay_t<T>>& into) {
  if (failed) {
    into = tl::unexpected<Error>(damaged(failed->message));
  } else {
    into = std::forward<T>(value);
  }
}

template <class List, class Text>
std::string one_a_line(const List& list, Text text) {
  std::string out;
  for (const auto& entry : list) {
    out += text(entry);
    out += '\n';
  }
  return out;
}

}  // namespace

void bind(SQLite::Statement& statement, int index, const Digest& digest) {
  statement.bind(index, digest.bytes.data(), static_cast<int>(digest.bytes.size()));
}

Result<Digest> digest_at(const SQLite::Statement& statement, int index) {
  const SQLite::Column column = statement.getColumn(index);
  Digest digest;
  if (column.getBytes() != static_cast<int>(digest.bytes.size())) {
    return fail(Errc::invalid, "a digest has the wrong length");
  }
  std::memcpy(digest.bytes.data(), column.getBlob(), digest.bytes.size());
  return digest;
}

std::string lines(const std::vector<std::string>& list) {
  return one_a_line(list, [](const std::string& entry) { return entry; });
}

std::vector<std::string> from_lines(std::string_view text) {
  std::vector<std::string> list;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    list.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return list;
}

std::string lines(const std::vector<PersonRef>& people) {
  return one_a_line(people, [](const PersonRef& person) { return to_text(person); });
}

Result<std::vector<PersonRef>> people_from_lines(std::string_view text) {
  std::vector<PersonRef> people;
  for (const std::string& line : from_lines(text)) {
    Result<PersonRef> person = parse_person_ref(line);
    if (!person) return tl::unexpected<Error>(person.error());
    people.push_back(std::move(*person));
  }
  return people;
}

std::string lines(const std::vector<Digest>& digests) {
  return one_a_line(digests, digest_text);
}

Result<std::vector<Digest>> digests_from_lines(std::string_view text) {
  std::vector<Digest> digests;
  for (const std::string& line : from_lines(text)) {
    Result<Digest> digest = parse_digest(line);
    if (!digest) return tl::unexpected<Error>(digest.error());
    digests.push_back(*digest);
  }
  return digests;
}

std::string lines(const std::map<std::string, std::string>& fields) {
  return one_a_line(fields, [](const auto& field) { return field.first + '=' + escape_word(field.second); });
}

Result<std::map<std::string, std::string>> fields_from_lines(std::string_view text) {
  std::map<std::string, std::string> fields;
  for (const std::string& line : from_lines(text)) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) return fail(Errc::invalid, "an audit field without '='");
    Result<std::string> value = unescape_word(std::string_view(line).substr(equals + 1));
    if (!value) return tl::unexpected<Error>(value.error());
    fields.emplace(line.substr(0, equals), std::move(*value));
  }
  return fields;
}

void bind(SQLite::Statement& statement, const StoredDocument& document) {
  bind(statement, 1, document.digest);
  statement.bind(2, static_cast<int>(document.kind));
  statement.bind(3, document.text);
  statement.bind(4, document.received);
  statement.bind(5, document.keep_until);
  statement.bind(6, lines(document.void_keys));
}

void read(const SQLite::Statement& statement, Result<StoredDocument>& into) {
  StoredDocument document;
  std::optional<Error> failed;
  take(digest_at(statement, 0), document.digest, failed);
  const std::int64_t kind = int_at(statement, 1);
  if (kind < 0 || kind > static_cast<int>(Kind::trust)) failed = damaged("an unknown kind of document");
  document.kind = static_cast<Kind>(kind);
  document.text = text_at(statement, 2);
  document.received = int_at(statement, 3);
  document.keep_until = int_at(statement, 4);
  document.void_keys = from_lines(text_at(statement, 5));
  deliver(std::move(document), failed, into);
}

void bind(SQLite::Statement& statement, const GrantRecord& grant) {
  bind(statement, 1, grant.digest);
  statement.bind(2, grant.id);
  statement.bind(3, grant.direct ? 1 : 0);
  statement.bind(4, grant.user);
  statement.bind(5, static_cast<std::int64_t>(grant.uid));
  statement.bind(6, grant.role);
  statement.bind(7, grant.reason);
  statement.bind(8, grant.ticket);
  statement.bind(9, lines(grant.requesters));
  statement.bind(10, static_cast<std::int64_t>(grant.asked.count()));
  statement.bind(11, static_cast<std::int64_t>(grant.duration.count()));
  statement.bind(12, grant.created);
  statement.bind(13, grant.expires);
  statement.bind(14, grant.effects);
  statement.bind(15, std::string(to_text(grant.state)));
  statement.bind(16, grant.why);
  statement.bind(17, grant.activated);
  statement.bind(18, grant.not_after);
  statement.bind(19, grant.boot_id);
  statement.bind(20, as_int(grant.boot_deadline_ms));
  statement.bind(21, grant.ended);
  statement.bind(22, lines(grant.facts_groups));
  statement.bind(23, lines(grant.consents));
  statement.bind(24, grant.rule);
  statement.bind(25, grant.start);
  statement.bind(26, lines(grant.extends));
  statement.bind(27, grant.once ? 1 : 0);
  statement.bind(28, grant.session);
  statement.bind(29, grant.ask ? digest_text(*grant.ask) : std::string());
}

void read(const SQLite::Statement& statement, Result<GrantRecord>& into) {
  GrantRecord grant;
  std::optional<Error> failed;
  take(digest_at(statement, 0), grant.digest, failed);
  grant.id = text_at(statement, 1);
  grant.direct = int_at(statement, 2) != 0;
  grant.user = text_at(statement, 3);
  const std::int64_t uid = int_at(statement, 4);
  if (uid < 0 || uid > 0xffffffffLL) failed = damaged("a uid out of range");
  grant.uid = static_cast<std::uint32_t>(uid);
  grant.role = text_at(statement, 5);
  grant.reason = text_at(statement, 6);
  grant.ticket = text_at(statement, 7);
  take(people_from_lines(text_at(statement, 8)), grant.requesters, failed);
  grant.asked = Seconds(int_at(statement, 9));
  grant.duration = Seconds(int_at(statement, 10));
  grant.created = int_at(statement, 11);
  grant.expires = int_at(statement, 12);
  grant.effects = text_at(statement, 13);
  const std::optional<GrantState> state = state_of(text_at(statement, 14));
  if (!state) failed = damaged("an unknown state of a grant");
  grant.state = state.value_or(GrantState::refused);
  grant.why = text_at(statement, 15);
  grant.activated = int_at(statement, 16);
  grant.not_after = int_at(statement, 17);
  grant.boot_id = text_at(statement, 18);
  grant.boot_deadline_ms = static_cast<std::uint64_t>(int_at(statement, 19));
  grant.ended = int_at(statement, 20);
  grant.facts_groups = from_lines(text_at(statement, 21));
  take(people_from_lines(text_at(statement, 22)), grant.consents, failed);
  grant.rule = text_at(statement, 23);
  grant.start = int_at(statement, 24);
  take(digests_from_lines(text_at(statement, 25)), grant.extends, failed);
  grant.once = int_at(statement, 26) != 0;
  grant.session = text_at(statement, 27);
  if (const std::string ask = text_at(statement, 28); !ask.empty()) {
    grant.ask.emplace();
    take(parse_digest(ask), *grant.ask, failed);
  }
  deliver(std::move(grant), failed, into);
}

void bind(SQLite::Statement& statement, const LockRecord& lock) {
  bind(statement, 1, lock.digest);
  statement.bind(2, lines(lock.users));
  statement.bind(3, lines(lock.keys));
  statement.bind(4, lines(lock.approvers));
  statement.bind(5, lock.created);
  statement.bind(6, lock.until);
  statement.bind(7, lock.lifted ? 1 : 0);
  statement.bind(8, lock.reason);
  statement.bind(9, lock.by);
}

void read(const SQLite::Statement& statement, Result<LockRecord>& into) {
  LockRecord lock;
  std::optional<Error> failed;
  take(digest_at(statement, 0), lock.digest, failed);
  lock.users = from_lines(text_at(statement, 1));
  lock.keys = from_lines(text_at(statement, 2));
  lock.approvers = from_lines(text_at(statement, 3));
  lock.created = int_at(statement, 4);
  lock.until = int_at(statement, 5);
  lock.lifted = int_at(statement, 6) != 0;
  lock.reason = text_at(statement, 7);
  lock.by = text_at(statement, 8);
  deliver(std::move(lock), failed, into);
}

void bind(SQLite::Statement& statement, const RevocationRecord& revocation) {
  bind(statement, 1, revocation.digest);
  statement.bind(2, revocation.created);
  statement.bind(3, lines(revocation.documents));
  statement.bind(4, lines(revocation.users));
  statement.bind(5, lines(revocation.approvers));
  statement.bind(6, revocation.all ? 1 : 0);
  statement.bind(7, revocation.reason);
  statement.bind(8, revocation.by);
  statement.bind(9, revocation.revoker ? 1 : 0);
  statement.bind(10, lines(revocation.roles));
}

void read(const SQLite::Statement& statement, Result<RevocationRecord>& into) {
  RevocationRecord revocation;
  std::optional<Error> failed;
  take(digest_at(statement, 0), revocation.digest, failed);
  revocation.created = int_at(statement, 1);
  take(digests_from_lines(text_at(statement, 2)), revocation.documents, failed);
  revocation.users = from_lines(text_at(statement, 3));
  revocation.approvers = from_lines(text_at(statement, 4));
  revocation.all = int_at(statement, 5) != 0;
  revocation.reason = text_at(statement, 6);
  revocation.by = text_at(statement, 7);
  revocation.revoker = int_at(statement, 8) != 0;
  revocation.roles = from_lines(text_at(statement, 9));
  deliver(std::move(revocation), failed, into);
}

void bind(SQLite::Statement& statement, const ListRecord& list) {
  statement.bind(1, as_int(list.number));
  bind(statement, 2, list.digest);
  statement.bind(3, list.created);
  statement.bind(4, list.next_update);
  statement.bind(5, list.boot_id);
  statement.bind(6, as_int(list.boot_ms));
  statement.bind(7, list.age_ms);
  statement.bind(8, list.viewed ? 1 : 0);
}

void read(const SQLite::Statement& statement, Result<ListRecord>& into) {
  ListRecord list;
  std::optional<Error> failed;
  list.number = static_cast<std::uint64_t>(int_at(statement, 0));
  take(digest_at(statement, 1), list.digest, failed);
  list.created = int_at(statement, 2);
  list.next_update = int_at(statement, 3);
  list.boot_id = text_at(statement, 4);
  list.boot_ms = static_cast<std::uint64_t>(int_at(statement, 5));
  list.age_ms = int_at(statement, 6);
  list.viewed = int_at(statement, 7) != 0;
  deliver(std::move(list), failed, into);
}

void bind(SQLite::Statement& statement, const ChainEntry& entry) {
  statement.bind(1, as_int(entry.sequence));
  statement.bind(2, entry.time);
  statement.bind(3, entry.event);
  statement.bind(4, lines(entry.fields));
  bind(statement, 5, entry.previous);
  bind(statement, 6, entry.hash);
}

void read(const SQLite::Statement& statement, Result<ChainEntry>& into) {
  ChainEntry entry;
  std::optional<Error> failed;
  entry.sequence = static_cast<std::uint64_t>(int_at(statement, 0));
  entry.time = int_at(statement, 1);
  entry.event = text_at(statement, 2);
  take(fields_from_lines(text_at(statement, 3)), entry.fields, failed);
  take(digest_at(statement, 4), entry.previous, failed);
  take(digest_at(statement, 5), entry.hash, failed);
  deliver(std::move(entry), failed, into);
}

void bind(SQLite::Statement& statement, const StoredEvent& event) {
  statement.bind(1, as_int(event.sequence));
  statement.bind(2, event.created);
  statement.bind(3, event.keep_until);
  if (event.document) {
    bind(statement, 4, *event.document);
  } else {
    statement.bind(4);
  }
  statement.bind(5, event.text);
}

void read(const SQLite::Statement& statement, Result<StoredEvent>& into) {
  StoredEvent event;
  std::optional<Error> failed;
  event.sequence = static_cast<std::uint64_t>(int_at(statement, 0));
  event.created = int_at(statement, 1);
  event.keep_until = int_at(statement, 2);
  if (!statement.getColumn(3).isNull()) {
    event.document.emplace();
    take(digest_at(statement, 3), *event.document, failed);
  }
  event.text = text_at(statement, 4);
  deliver(std::move(event), failed, into);
}

}  // namespace rows
}  // namespace jit
