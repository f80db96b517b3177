// What becomes of the slices of grants that are over. A folder stands for the cgroup tree.
#include "jitd/core/running.hpp"

#include <filesystem>
#include <fstream>

#include "tests/unit/core/effect_host.hpp"

using namespace jit;
using jit::hosttest::FakeBus;
using jit::hosttest::TempDir;

TEST_CASE("slices of grants that are over go when nothing runs in them, what was let run on too", "[core]") {
  const TempDir dir;
  const auto slice = [&](const std::string& path, const std::string& pids) {
    std::filesystem::create_directories(dir / path);
    std::ofstream(dir / (path + "/cgroup.procs")) << pids;
  };
  slice("jitleft.slice/jitleft-aaaa.slice", "");
  slice("jitleft.slice/jitleft-bbbb.slice", "");
  slice("jitleft.slice/jitleft-bbbb.slice/runs.scope", "4194000\n");
  slice("jitleft.slice/jitleft-cccc.slice", "");
  slice("jit.slice/jit-dddd.slice", "");
  slice("jit.slice/jit-eeee.slice", "");
  const Processes processes(CgroupTree{dir.path(), "", true, true}, dir / "proc");
  FakeBus bus;
  Taken taken;
  see_them_gone(
      processes, bus, [](const std::string& grant) { return grant != "cccc" && grant != "eeee"; }, taken);
  CHECK(bus.log == std::vector<std::string>{"stop jitleft-aaaa.slice", "stop jit-dddd.slice"});
  CHECK(taken.failures.empty());
  bus.log.clear();
  see_them_gone(
      processes, bus, [](const std::string&) { return false; }, taken);
  CHECK(bus.log.empty());
}
