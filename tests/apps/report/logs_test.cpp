// metrics.csv and TensorBoard's event files.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>

#include "apps/report/metrics_csv.h"
#include "apps/report/tensorboard.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

void write(const fs::path& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

TEST(MetricsCsv, IsShapedAsKerasWritesIt) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "metrics.csv";
  MetricsCsv csv(file);
  csv.append({0, {{"val_loss", 0.5}, {"accuracy", 0.25}, {"loss", 1.0}}});
  csv.append({1, {{"accuracy", 0.1}, {"loss", std::nan("")}}});
  EXPECT_EQ(test::read_text(file), "epoch,accuracy,loss,val_loss\n0,0.25,1,0.5\n1,0.1,nan,NA\n");
  EXPECT_THROW(csv.append({2, {{"surprise", 1}}}), UsageError);
  EXPECT_EQ(csv.rows().size(), 2u);

  const auto rows = read_metrics_csv(file);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].values.at("accuracy"), 0.25);
  EXPECT_TRUE(std::isnan(rows[1].values.at("loss")));
  EXPECT_EQ(rows[1].values.count("val_loss"), 0u);
}

TEST(MetricsCsv, GoesOnWhereARunWasKilled) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "metrics.csv";
  {
    MetricsCsv csv(file);
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) csv.append({epoch, {{"loss", 1.0 / (epoch + 3.0)}}});
  }
  const std::string before = test::read_text(file);
  write(file, before + "4,0.1");  // killed in the middle of a line
  MetricsCsv csv(file, 3);        // and after a checkpoint of epoch 3
  ASSERT_EQ(csv.rows().size(), 3u);
  csv.append({3, {{"loss", 1.0 / 6}}});
  EXPECT_EQ(test::read_text(file), before) << "to the bit as if nothing had happened";

  MetricsCsv anew(file, 0);
  EXPECT_EQ(test::read_text(file), "");
  anew.append({0, {{"other", 2}}});
  EXPECT_EQ(test::read_text(file), "epoch,other\n0,2\n");
}

TEST(MetricsCsv, RefusesOtherFiles) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "metrics.csv";
  for (const char* text : {"loss,epoch\n1,2\n", "epoch,loss\n0\n", "epoch,loss\n0,1,2\n", "epoch,loss\nx,1\n",
                           "epoch,loss\n0,much\n", "epoch,loss\n0,\n", "epoch,loss\n1.5,1\n",
                           "epoch,loss\n99999999999999999999,1\n", "\n\n", "\x89HDF\r\n\x1a\n"}) {
    write(file, text);
    try {
      read_metrics_csv(file);
      ADD_FAILURE() << text;
    } catch (const FileError& error) {
      EXPECT_EQ(std::string(error.what()).rfind(file.string() + ": line ", 0), 0u) << error.what();
    }
    EXPECT_THROW(MetricsCsv(file, 5), FileError) << text;
    EXPECT_EQ(test::read_text(file), text) << "left as it was";
  }
  EXPECT_THROW(read_metrics_csv(folder.path() / "absent.csv"), FileError);
  EXPECT_TRUE((write(file, ""), read_metrics_csv(file).empty()));
  EXPECT_TRUE((write(file, "epoch,lo"), read_metrics_csv(file).empty()));
  MetricsCsv nowhere(folder.path() / "no" / "metrics.csv");
  EXPECT_THROW(nowhere.append({0, {{"loss", 1}}}), FileError);
}

// A reader of its own: CRC-32C bit by bit, fields as they come.
std::uint32_t crc32c(const std::string& data) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
  }
  return ~crc;
}

template <class T>
T number_at(const std::string& text, std::size_t at) {
  T value;
  std::memcpy(&value, text.data() + at, sizeof value);
  return value;
}

std::vector<std::string> read_records(const std::string& file) {
  const auto checked = [](const std::string& data, std::uint32_t masked) {
    const std::uint32_t rotated = masked - 0xA282EAD8;
    return crc32c(data) == (rotated >> 17 | rotated << 15);
  };
  std::vector<std::string> records;
  for (std::size_t at = 0; at < file.size();) {
    const auto size = static_cast<std::size_t>(number_at<std::uint64_t>(file, at));
    EXPECT_TRUE(checked(file.substr(at, 8), number_at<std::uint32_t>(file, at + 8)));
    records.push_back(file.substr(at + 12, size));
    EXPECT_TRUE(checked(records.back(), number_at<std::uint32_t>(file, at + 12 + size)));
    at += size + 16;
  }
  return records;
}

TEST(EventWriter, ChecksumsAreCrc32c) { EXPECT_EQ(crc32c("123456789"), 0xE3069283); }

TEST(EventWriter, WritesWhatTensorBoardReads) {
  const test::TemporaryFolder folder;
  EventWriter writer(folder.path());
  EXPECT_EQ(writer.file().filename().string().rfind("events.out.tfevents.", 0), 0u);
  writer.add_scalar("loss", 3, 1.5f, 1700000000.5);
  writer.add_scalar("val/accuracy", 300, 0.25f);
  const auto records = read_records(test::read_text(writer.file()));
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].substr(9),
            "\x1A\x0D"
            "brain.Event:2");
  // tensorboard.compat.proto: Event(wall_time=1700000000.5, step=3, summary=Summary(value=[Summary.Value(
  // tag="loss", simple_value=1.5)])).SerializeToString()
  const std::string expected = std::string(
      "\x09\x00\x00\x20\x40\xFC\x54\xD9\x41\x10\x03\x2A\x0D\x0A\x0B\x0A\x04loss\x15\x00\x00\xC0\x3F", 26);
  EXPECT_EQ(records[1], expected);
  EXPECT_EQ(records[2].substr(9, 3), "\x10\xAC\x02") << "step 300 in seven bits a byte";
  EXPECT_NE(records[2].find("val/accuracy"), std::string::npos);
}

TEST(EventWriter, AddsAFileToARun) {
  const test::TemporaryFolder folder;
  const EventWriter first(folder.path()), second(folder.path());
  EXPECT_NE(first.file(), second.file());
  EXPECT_THROW(EventWriter(folder.path() / "absent"), FileError);
}

}  // namespace
}  // namespace pila
