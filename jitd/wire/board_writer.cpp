#include "jitd/wire/board_writer.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string_view>

#include "jitd/wire/board.hpp"
#include "jitd/wire/codec.hpp"
#include "jitd/wire/layout.hpp"

namespace jit::wire {
namespace {

constexpr std::string_view kWhere = "the board of checks: ";

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(Errc::invalid, std::string(kWhere) + what);
}

// A record of `Size` bytes, zeros at first.
template <std::size_t Size>
class Record {
 public:
  Record& u32(std::size_t at, std::uint32_t value) {
    store_u32(bytes_ + at, value);
    return *this;
  }
  Record& u64(std::size_t at, std::uint64_t value) {
    store_u64(bytes_ + at, value);
    return *this;
  }
  Record& text(std::size_t at, std::string_view value) {
    std::memcpy(bytes_ + at, value.data(), value.size());
    return *this;
  }
  void append_to(std::string& board) {
    store_u32(bytes_ + Size - 4, crc32c(std::span(bytes_).first(Size - 4)));
    board.append(reinterpret_cast<const char*>(bytes_), Size);
  }

 private:
  std::byte bytes_[Size] = {};
};

std::uint64_t bit(std::size_t gate) {
  return std::uint64_t{1} << gate;
}

struct Subject {
  std::uint64_t covered = 0, excepted = 0;
  std::vector<const GrantOnBoard*> grants;
};

// What the sections are made of: services and subjects in the order in which they stand on the board.
struct Plan {
  std::uint64_t enforce = 0, everybody = 0;
  std::map<std::string_view, std::uint64_t> services;                      // name -> gates
  std::map<std::pair<std::uint64_t, std::string_view>, Subject> subjects;  // hash, name
  std::map<std::uint32_t, std::uint64_t> sudo_ends;                        // uid -> boot-time ms
  std::map<const GrantOnBoard*, std::uint64_t> opens;
};

bool name_fits(std::string_view name, std::size_t limit) {
  return !name.empty() && name.size() <= limit && name.find('\0') == std::string_view::npos;
}

Result<Subject*> subject_of(Plan& plan, std::string_view user) {
  if (!name_fits(user, layout::kSubjectName)) return refuse("a user name is empty, too long or has a NUL");
  return &plan.subjects[{layout::name_hash(user), user}];
}

Result<void> plan_gates(const BoardContent& content, Plan& plan) {
  if (content.gates.size() > kMaxGates)
    return refuse("the policy has " + std::to_string(content.gates.size()) + " gates; it holds " +
                  std::to_string(kMaxGates));
  for (std::size_t i = 0; i < content.gates.size(); ++i) {
    const GateOnBoard& gate = content.gates[i];
    if (!name_fits(gate.name, layout::kName - 1))
      return refuse("gate name '" + gate.name + "' is empty or longer than 63 bytes");
    for (std::size_t j = 0; j < i; ++j)
      if (content.gates[j].name == gate.name) return refuse("gate '" + gate.name + "' is there twice");
    if (gate.enforce) plan.enforce |= bit(i);
    if (gate.everybody) plan.everybody |= bit(i);
    for (const std::string& service : gate.services) {
      if (!name_fits(service, layout::kName - 1))
        return refuse("gate '" + gate.name + "': service '" + service + "' is empty or longer than 63 bytes");
      plan.services[service] |= bit(i);
    }
    for (const std::string& user : gate.users) {
      auto subject = subject_of(plan, user);
      if (!subject) return tl::unexpected(std::move(subject.error()));
      (*subject)->covered |= bit(i);
    }
    for (const std::string& user : gate.except) {
      auto subject = subject_of(plan, user);
      if (!subject) return tl::unexpected(std::move(subject.error()));
      (*subject)->excepted |= bit(i);
    }
  }
  if (plan.services.size() > layout::kMaxServices) return refuse("too many services in gates");
  return {};
}

Result<void> plan_grants(const BoardContent& content, Plan& plan) {
  std::map<std::string_view, std::size_t> gates;
  for (std::size_t i = 0; i < content.gates.size(); ++i) gates[content.gates[i].name] = i;
  std::set<std::string_view> ids;
  for (const GrantOnBoard& grant : content.grants) {
    if (grant.id.size() != layout::kGrantId || !name_fits(grant.id, layout::kGrantId))
      return refuse("grant id '" + grant.id + "' is not 16 characters");
    if (!ids.insert(grant.id).second) return refuse("grant " + grant.id + " is there twice");
    if (grant.uid == UINT32_MAX) return refuse("grant " + grant.id + ": uid 4294967295 is nobody");
    std::uint64_t& opens = plan.opens[&grant];
    for (const std::string& name : grant.opens) {
      const auto gate = gates.find(name);
      if (gate == gates.end()) return refuse("grant " + grant.id + " opens '" + name + "', which is no gate");
      opens |= bit(gate->second);
    }
    auto subject = subject_of(plan, grant.user);
    if (!subject) return tl::unexpected(std::move(subject.error()));
    (*subject)->grants.push_back(&grant);
  }
  for (auto& [key, subject] : plan.subjects)
    std::stable_sort(subject.grants.begin(), subject.grants.end(),
                     [](const auto* a, const auto* b) { return a->not_after_ms < b->not_after_ms; });
  for (const auto& [uid, end] : content.sudo_ends) {
    std::uint64_t& last = plan.sudo_ends[uid];
    last = std::max(last, end);
  }
  if (plan.subjects.size() > layout::kMaxRecords || content.grants.size() > layout::kMaxRecords ||
      plan.sudo_ends.size() > layout::kMaxRecords)
    return refuse("more than " + std::to_string(layout::kMaxRecords) + " subjects, grants or ends");
  return {};
}

std::uint32_t count(std::size_t size) {
  return static_cast<std::uint32_t>(size);
}

void write_header(const BoardContent& content, const Plan& plan, std::string& board) {
  const std::uint64_t length =
      layout::kHeader + layout::kService * plan.services.size() + layout::kGate * content.gates.size() +
      (layout::kIndex + layout::kSubject) * plan.subjects.size() +
      (layout::kGrant + layout::kLiveWord) * content.grants.size() + layout::kSudoEnd * plan.sudo_ends.size();
  board.reserve(length);
  Record<layout::kHeader>()
      .text(0, {layout::kMagic, sizeof layout::kMagic})
      .u32(layout::header::version, layout::kVersion)
      .u64(layout::header::length, length)
      .text(layout::header::boot_id, content.boot_id)
      .u64(layout::header::enforce, plan.enforce)
      .u64(layout::header::everybody, plan.everybody)
      .u32(layout::header::gates, count(content.gates.size()))
      .u32(layout::header::services, count(plan.services.size()))
      .u32(layout::header::subjects, count(plan.subjects.size()))
      .u32(layout::header::grants, count(content.grants.size()))
      .u32(layout::header::sudo_ends, count(plan.sudo_ends.size()))
      .append_to(board);
}

void write_gates(const BoardContent& content, const Plan& plan, std::string& board) {
  std::uint32_t i = 0;
  for (const auto& [name, gates] : plan.services)
    Record<layout::kService>()
        .text(layout::service::name, name)
        .u64(layout::service::gates, gates)
        .u32(layout::service::index, i++)
        .append_to(board);
  i = 0;
  for (const GateOnBoard& gate : content.gates) {
    char help[layout::kHelp];
    copy_text(help, gate.help);
    Record<layout::kGate>()
        .text(layout::gate::name, gate.name)
        .text(layout::gate::help, help)
        .u32(layout::gate::index, i++)
        .append_to(board);
  }
}

void write_subjects(const Plan& plan, std::string& board) {
  std::uint32_t i = 0;
  for (const auto& [key, subject] : plan.subjects)
    Record<layout::kIndex>()
        .u64(layout::index_entry::hash, key.first)
        .u32(layout::index_entry::index, i++)
        .append_to(board);
  i = 0;
  std::uint32_t first_grant = 0;
  for (const auto& [key, subject] : plan.subjects) {
    Record<layout::kSubject>()
        .u64(layout::subject::hash, key.first)
        .u64(layout::subject::covered, subject.covered)
        .u64(layout::subject::excepted, subject.excepted)
        .u32(layout::subject::first_grant, first_grant)
        .u32(layout::subject::grants, count(subject.grants.size()))
        .u32(layout::subject::name_length, count(key.second.size()))
        .u32(layout::subject::index, i++)
        .text(layout::subject::name, key.second)
        .append_to(board);
    first_grant += count(subject.grants.size());
  }
}

void write_grants(const Plan& plan, std::string& board) {
  std::uint32_t subject_index = 0;
  std::uint32_t i = 0;
  std::string words;
  for (const auto& [key, subject] : plan.subjects) {
    for (const GrantOnBoard* grant : subject.grants) {
      const std::uint32_t flags =
          (grant->has_sudo ? layout::grant::kSudo : 0U) | (grant->conditional ? layout::grant::kConditional : 0U);
      Record<layout::kGrant>()
          .text(layout::grant::id, grant->id)
          .u32(layout::grant::uid, grant->uid)
          .u32(layout::grant::flags, flags)
          .u64(layout::grant::not_after, static_cast<std::uint64_t>(grant->not_after_ms))
          .u64(layout::grant::boot_deadline, grant->boot_deadline_ms)
          .u64(layout::grant::opens, plan.opens.at(grant))
          .u32(layout::grant::subject, subject_index)
          .u32(layout::grant::index, i++)
          .append_to(board);
      char word[layout::kLiveWord];
      store_u32(word, grant->live ? kLive : kEndedBefore);
      words.append(word, sizeof word);
    }
    ++subject_index;
  }
  std::uint32_t end_index = 0;
  for (const auto& [uid, end] : plan.sudo_ends)
    Record<layout::kSudoEnd>()
        .u32(layout::sudo_end::uid, uid)
        .u32(layout::sudo_end::index, end_index++)
        .u64(layout::sudo_end::boot_ms, end)
        .append_to(board);
  board += words;
}

}  // namespace

Result<std::string> make_board(const BoardContent& content) {
  if (content.boot_id.size() != layout::kBootId || !name_fits(content.boot_id, layout::kBootId))
    return refuse("boot id '" + content.boot_id + "' is not 36 characters");
  Plan plan;
  if (auto planned = plan_gates(content, plan); !planned) return tl::unexpected(std::move(planned.error()));
  if (auto planned = plan_grants(content, plan); !planned) return tl::unexpected(std::move(planned.error()));
  std::string board;
  write_header(content, plan, board);
  write_gates(content, plan, board);
  write_subjects(plan, board);
  write_grants(plan, board);
  return board;
}

}  // namespace jit::wire
