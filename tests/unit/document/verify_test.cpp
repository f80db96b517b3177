// From bytes to a verified document: nothing counts that the right people did not sign for this very purpose (P1,
// P7).
#include "policy/document/verify.hpp"

#include "tests/unit/catch.hpp"
#include "tests/unit/document/support.hpp"

using namespace jit;
using namespace jit::test;

namespace {

struct Place {
  SigningKey carol = new_key();
  SigningKey dave = new_key();
  SigningKey stranger = new_key();
  SigningKey host = new_key();
  TrustSet trust;

  Place() {
    trust.approvers = trust_of("approvers", {{"carol", carol.public_key()}, {"dave", dave.public_key()}});
    trust.hosts = trust_of("hosts", {{"db1.example.org", host.public_key()}, {"db2.example.org", dave.public_key()}});
  }
  Result<Verified> check(const Envelope& envelope) const { return verify_document(envelope, trust, "x.jit"); }
  std::string error(const Envelope& envelope) const {
    const auto verified = check(envelope);
    REQUIRE_FALSE(verified.has_value());
    CHECK(verified.error().message.find("x.jit: ") == 0);
    return verified.error().message;
  }
};

bool says(const std::string& message, std::string_view part) {
  INFO(message);
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a document counts by the signatures of people known here", "[document][verify]") {
  const Place place;
  const Review review = sample_review();
  const Envelope envelope = signed_by(review, {&place.carol, &place.stranger, &place.dave});
  const Verified verified = place.check(envelope).value();
  CHECK(verified.kind == Kind::review);
  CHECK(verified.document == Document(review));
  CHECK(verified.digest == sha256(to_payload(review)));
  REQUIRE(verified.signers.size() == 2);
  CHECK(verified.signers[0].principal == "carol");
  CHECK(verified.signers[1].principal == "dave");
  REQUIRE(verified.ignored.size() == 1);
  CHECK(says(verified.ignored[0], "not listed in approvers"));
  // What strangers added does not travel on, so that it never takes the room of a later consent.
  CHECK(verified.envelope.signatures == std::vector<std::string>{envelope.signatures[0], envelope.signatures[2]});
}

TEST_CASE("a key under two principals gives both, and people judge", "[document][verify]") {
  Place place;
  place.trust.approvers.lines.push_back(place.trust.approvers.lines[0]);
  place.trust.approvers.lines.back().principal = "erin";
  place.trust.approvers.lines.back().valid_before = at("2027-01-01T00:00:00Z");
  const Verified verified = place.check(signed_by(sample_review(), {&place.carol})).value();
  REQUIRE(verified.signers.size() == 2);
  CHECK(verified.signers[1].principal == "erin");
  CHECK(verified.signers[1].valid_before == at("2027-01-01T00:00:00Z"));
}

TEST_CASE("a signature for one purpose never serves another (P7)", "[document][verify]") {
  const Place place;
  const Review review = sample_review();
  CHECK(says(place.error(signed_by(review, {&place.stranger})), "no signature of a known key"));
  CHECK(says(place.error(signed_by(review, {&place.carol}, "jit-grant")),
             "it says that it is a review, but it was signed as a grant"));
  CHECK(says(place.error(signed_by(review, {&place.carol}, "file")), "namespace \"file\" are not taken"));
  CHECK(says(place.error(signed_by(review, {&place.carol}, "jit-facts")), "not taken"));
  // A place without a trust file for a kind takes none of it, whoever signed.
  CHECK(says(place.error(signed_by(review, {&place.carol}, "jit-policy")), "not taken here"));
  // An approver's key says nothing for a host, and a host's nothing for an approver.
  CHECK(says(place.error(signed_by(review, {&place.host})), "not listed in approvers"));
  CHECK(says(place.error(signed_by(sample_request(place.host.public_key()), {&place.carol})), "not listed in hosts"));

  Envelope mixed = signed_by(review, {&place.carol});
  mixed.signatures.push_back(signed_by(review, {&place.dave}, "jit-grant").signatures[0]);
  CHECK(says(place.error(mixed), "different namespaces, jit-review and jit-grant"));
  // Whoever mixes them: also a stranger's, which would otherwise pick the trust file.
  mixed.signatures.back() = signed_by(review, {&place.stranger}, "jit-lock").signatures[0];
  CHECK(says(place.error(mixed), "different namespaces"));
}

TEST_CASE("one changed byte of the text and nothing counts", "[document][verify]") {
  const Place place;
  Envelope envelope = signed_by(sample_grant(), {&place.carol});
  REQUIRE(place.check(envelope).has_value());
  const std::size_t where = envelope.payload.find("alice");
  envelope.payload.replace(where, 5, "mallo");
  CHECK(says(place.error(envelope), "carol: the signature does not fit the text"));
}

TEST_CASE("nothing is parsed as TOML before a known key has signed it (P11)", "[document][verify]") {
  const Place place;
  Envelope envelope{"this is [not TOML\n", {}};
  envelope.signatures = {place.stranger.sign(envelope.payload, "jit-grant").value()};
  CHECK(says(place.error(envelope), "no signature of a known key"));
  envelope.signatures = {place.carol.sign(envelope.payload, "jit-grant").value()};
  CHECK(says(place.error(envelope), "not valid TOML"));
}

TEST_CASE("damaged signatures are named, and good ones beside them still count", "[document][verify]") {
  const Place place;
  Envelope envelope = signed_by(sample_grant(), {&place.carol});
  envelope.signatures.insert(envelope.signatures.begin(), "rubbish");
  const Verified verified = place.check(envelope).value();
  CHECK(verified.signers.size() == 1);
  REQUIRE(verified.ignored.size() == 1);
  CHECK(says(verified.ignored[0], "damaged signature"));
  envelope.signatures.pop_back();
  CHECK(says(place.error(envelope), "damaged signature"));
  envelope.signatures.clear();
  CHECK(says(place.error(envelope), "there is none"));
}

TEST_CASE("a trust line's namespaces hold", "[document][verify]") {
  Place place;
  place.trust.approvers.lines[0].namespaces = {"jit-review"};
  CHECK(place.check(signed_by(sample_review(), {&place.carol})).has_value());
  CHECK(says(place.error(signed_by(sample_grant(), {&place.carol})), "not listed for namespace jit-grant"));
}

TEST_CASE("a request is a host's word about itself alone (P7)", "[document][verify]") {
  const Place place;
  const Request request = sample_request(place.host.public_key());
  CHECK(place.check(signed_by(request, {&place.host})).value().kind == Kind::request);
  // Signed by another host that the approver knows: refused, whichever of the two the text names.
  CHECK(says(place.error(signed_by(request, {&place.dave})), "signed by db2.example.org"));
  Request other = request;
  other.host = "db2.example.org";
  CHECK(says(place.error(signed_by(other, {&place.host})), "but the request is of db2.example.org"));
  Request wrong_key = request;
  wrong_key.host_key = fingerprint(place.dave.public_key());
  CHECK(says(place.error(signed_by(wrong_key, {&place.host})), "signed by db1.example.org"));
}

TEST_CASE("a place without a trust file for a kind takes none of it", "[document][verify]") {
  Place place;
  place.trust.hosts = TrustFile{};
  CHECK(place.trust.for_kind(Kind::request) == nullptr);
  CHECK(says(place.error(signed_by(sample_request(place.host.public_key()), {&place.host})), "no trust file"));
  place.trust.approvers.lines.clear();
  CHECK(says(place.error(signed_by(sample_review(), {&place.carol})), "not listed"));
}

TEST_CASE("a document made by hand with ssh-keygen counts", "[document][verify]") {
  const TempDir dir;
  const std::string key = (dir.path() / "key").string();
  REQUIRE(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key}).status == 0);
  Place place;
  place.trust.approvers = parse_trust("approvers", "carol " + read_file(key + ".pub"));
  const std::string payload = to_payload(sample_grant());
  const Ran armor = run({"ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "jit-grant"}, payload);
  REQUIRE(armor.status == 0);
  const auto verified =
      parse_envelope(payload + armor.out).and_then([&](const Envelope& e) { return place.check(e); });
  REQUIRE(verified.has_value());
  CHECK(verified->signers.at(0).principal == "carol");
}

TEST_CASE("each kind is looked up in its own trust file (P1, P7)", "[document][verify]") {
  Place place;
  const SigningKey alice = new_key();
  const SigningKey owner = new_key();
  place.trust.requesters = trust_of("requesters", {{"alice", alice.public_key()}, {"bob", place.carol.public_key()}});
  place.trust.owners = trust_of("owners", {{"olga", owner.public_key()}});

  CHECK(place.check(signed_by(sample_ask(), {&alice})).value().kind == Kind::ask);
  CHECK(place.check(signed_by(sample_policy(), {&owner})).value().kind == Kind::policy);
  CHECK(place.check(signed_by(sample_trust(), {&owner})).value().kind == Kind::trust);
  CHECK(place.check(signed_by(sample_event(place.host.public_key()), {&place.host})).value().kind == Kind::event);

  // Nobody asks for somebody else, and approvers' and owners' keys are no requesters'.
  CHECK(says(place.error(signed_by(sample_ask(), {&place.carol})), "signed by bob, who cannot ask for alice"));
  CHECK(says(place.error(signed_by(sample_ask(), {&owner})), "not listed in requesters"));
  CHECK(says(place.error(signed_by(sample_ask(), {&place.dave})), "not listed in requesters"));
  CHECK(says(place.error(signed_by(sample_review(), {&alice})), "not listed in approvers"));
  CHECK(says(place.error(signed_by(sample_policy(), {&place.carol})), "not listed in owners"));
  CHECK(says(place.error(signed_by(sample_policy(), {&owner}, "jit-trust")), "signed as a trust"));
  // An event is of the host that signed it, by the key that it names.
  CHECK(says(place.error(signed_by(sample_event(place.host.public_key()), {&place.dave})), "the event is of"));
  EventDocument other = sample_event(place.host.public_key());
  other.host = "db2.example.org";
  CHECK(says(place.error(signed_by(other, {&place.host})), "the event is of db2.example.org"));
}
