// The page as a browser shows it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "tests/apps/process.h"
#include "tests/apps/web/support.h"

namespace pila {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string chromium() {
  std::istringstream folders(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string program = folder + "/chromium";
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

class Page : public testing::Test {
 protected:
  void SetUp() override {
    if (chromium().empty()) GTEST_SKIP() << "chromium is not installed: the page is not tested";
  }

  // The document when the page has run for some seconds of its own clock.
  std::string shown(const std::string& address) const {
    const test::TemporaryFolder profile;
    const auto run = test::run_program(
        chromium(),
        {"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--user-data-dir=" + profile.path().string(), "--virtual-time-budget=6000", "--dump-dom",
         "http://127.0.0.1:" + std::to_string(server_.port()) + address});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.out;
  }

  static WebServices services(Store* store) {
    WebServices services;
    services.store = store;
    services.model = [] { return std::string("a model"); };
    return services;
  }

  test::FakeStore store_;
  WebServer server_{test::at_any_port(), {"alkaline", "lithium"}, services(&store_)};
};

TEST_F(Page, ShowsVerdictCountsAndAlarms) {
  server_.item(test::item_report(6, "lithium", 0.6, "left"));
  server_.item(test::item_report(7, "alkaline", 0.87, "right"));
  server_.alarm("<b>the disk</b> is full");
  const test::Frames frames(server_);
  const std::string page = shown("/?picture=still");
  EXPECT_THAT(page, HasSubstr("id=\"verdict-label\" class=\"big\">alkaline</p>"));
  EXPECT_THAT(page, HasSubstr("class=\"card verdict good\""));
  EXPECT_THAT(page, HasSubstr("class=\"sure\">87%</span>"));
  EXPECT_THAT(page, HasSubstr("→ right"));
  EXPECT_THAT(page, HasSubstr("id=\"count-items\">2</dd>"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\">lithium</th>"));
  EXPECT_THAT(page, HasSubstr("data-serial=\"2\""));
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;the disk&lt;/b&gt; is full"));
  EXPECT_THAT(page, HasSubstr("src=\"blob:"));
  EXPECT_THAT(page, HasSubstr(">Live</p>"));
  EXPECT_THAT(page, HasSubstr("class=\"median\""));
  EXPECT_THAT(page, HasSubstr("a model"));
}

TEST_F(Page, ShowsWhatIsMissedAndUnknownAsSuch) {
  auto missed = test::item_report(1, "alkaline", 0.99);
  missed.missed = true;
  server_.item(missed);
  server_.item(test::item_report(2, "others", 0.4));
  const test::Frames frames(server_);
  const std::string page = shown("/?picture=still");
  EXPECT_THAT(page, HasSubstr("<strong>alkaline</strong>missed"));
  EXPECT_THAT(page, HasSubstr("class=\"card verdict warn\""));
  EXPECT_THAT(page, HasSubstr("not recognised"));
}

TEST_F(Page, OffersDoubtfulItemsToRelabel) {
  for (int i = 1; i <= 2; ++i) {
    store_.add(test::stored_item("others", i == 1), test::grey_picture(64, 48));
  }
  const std::string page = shown("/?picture=still#relabel");
  EXPECT_THAT(page, HasSubstr("data-id=\"1\""));
  EXPECT_THAT(page, Not(HasSubstr("data-id=\"2\"")));
  EXPECT_THAT(page, HasSubstr("src=\"api/items/1/picture\""));
  EXPECT_THAT(page, HasSubstr("class=\"first\" data-label=\"lithium\""));
}

}  // namespace
}  // namespace pila
