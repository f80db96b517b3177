// jitctl verify FILE: checks a document's signatures against this machine's trust and prints what it says.
#include <fmt/format.h>

#include "jitctl/delivered.hpp"
#include "jitctl/grants.hpp"
#include "jitctl/output.hpp"
#include "jitctl/paper.hpp"
#include "policy/document/verify.hpp"
#include "policy/text.hpp"

namespace jit::ctl {
namespace {

struct Options {
  std::string file, approvers, hosts;
};

Result<TrustSet> trust_of(Context& context, const Options& options) {
  TrustSet trust;
  auto approvers =
      read_trust(options.approvers.empty() ? context.places.etc_jit + "/trust/approvers" : options.approvers);
  if (!approvers) return tl::unexpected(approvers.error());
  trust.approvers = std::move(*approvers);
  trust.owners = owners_here(context.places).keys;
  auto hosts = known_hosts(context, options.hosts);
  if (!hosts) return tl::unexpected(hosts.error());
  trust.hosts = std::move(*hosts);
  if (options.hosts.empty()) {
    if (const auto info = inspect(context)) {
      TrustLine line;
      line.principal = info->host;
      if (auto key = parse_public_key_line(info->public_key)) {
        line.key = std::move(*key);
        trust.hosts.lines.push_back(std::move(line));
      }
    }
  }
  for (const auto* file : {&trust.approvers, &trust.hosts}) {
    for (const auto& bad : file->bad) complain(context, bad.message);
  }
  return trust;
}

Outcome verify_file(Context& context, const Options& options) {
  const auto text = read_document(context, options.file);
  if (!text) return tl::unexpected(text.error());
  auto envelope = parse_envelope(*text);
  if (!envelope) return within(options.file, envelope.error());
  const auto trust = trust_of(context, options);
  if (!trust) return tl::unexpected(trust.error());
  const auto verified = verify_document(std::move(*envelope), *trust, options.file);
  if (!verified) return tl::unexpected(verified.error());

  const auto now = context.now();
  std::vector<std::string> good;
  std::vector<std::string> bad = verified->ignored;
  for (const auto& signer : verified->signers) {
    TrustLine line;
    line.valid_after = signer.valid_after;
    line.valid_before = signer.valid_before;
    auto name = fmt::format("{} ({})", signer.principal, fingerprint(signer.key));
    if (line.valid_at(now)) {
      good.push_back(std::move(name));
    } else {
      bad.push_back(name + ": the trust file's dates do not cover today");
    }
  }
  const auto digest = digest_text(verified->digest);
  if (context.json) {
    context.out << JsonObject()
                       .text("id", id_of(verified->digest))
                       .text("digest", digest)
                       .text("kind", kind_name(verified->kind))
                       .texts("signer", good)
                       .texts("ignored", bad)
                       .text("payload", verified->envelope.payload)
                       .str()
                << '\n';
  } else {
    context.out << fmt::format("{} {}\n", kind_name(verified->kind), id_of(verified->digest));
    labelled(context.out, "digest", digest, context.columns);
    for (const auto& name : good) labelled(context.out, "signed by", name, context.columns);
    for (const auto& name : bad) labelled(context.out, "not", name, context.columns);
    context.out << indented(verified->envelope.payload, "  ", context.columns);
  }
  if (!good.empty()) return Exit::done;
  return fail(Errc::refused, fmt::format("{}: no signature of it counts today", options.file));
}

}  // namespace

void add_verify(Commands& commands) {
  auto options = std::make_shared<Options>();
  auto& context = commands.context();
  auto* command = commands.add("verify", "Check a document's signatures and print it",
                               [&context, options] { return verify_file(context, *options); });
  command->add_option("file", options->file, "A .jit file, - for standard input")->required()->type_name("FILE");
  command->add_option("--approvers", options->approvers, "Approvers' trust file (default: /etc/jit/trust/approvers)")
      ->type_name("FILE");
  command
      ->add_option("--hosts", options->hosts,
                   "Host keys you know (default: ~/.config/jit/hosts and /etc/jit/trust/hosts)")
      ->type_name("FILE");
}

}  // namespace jit::ctl
