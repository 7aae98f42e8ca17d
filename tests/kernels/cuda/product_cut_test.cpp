// How products by tensor cores are cut, and that every cut gives the product; in the emulation.
#include <gtest/gtest.h>

#include <algorithm>

#define cuda cuda_emulated  // as the kernels' namespace is called there
#include "kernels/cuda/tune.h"
#undef cuda
#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::product_cut_test {
namespace {

using namespace kernels;
using namespace kernels::cuda_emulated;

TEST(TunedCuts, AreThoseOfTheMostSimilarProduct) {
  const ProductKind h200{90, 2}, orin{87, 2}, transposed{90, 2, true};
  const TunedCut table[] = {{h200, {1000, 64, 384}, ProductTile::tall, 1},
                            {h200, {1400, 64, 384}, ProductTile::square, 1},
                            {orin, {1000, 64, 384}, ProductTile::few, 2}};
  const auto tile = [&](const ProductKind& kind, const ProductSize& size) {
    const TunedCut* found = find_tuned(table, kind, size);
    return found == nullptr ? -1 : static_cast<int>(found->tile);
  };
  EXPECT_EQ(tile(h200, {1000, 64, 384}), static_cast<int>(ProductTile::tall));
  EXPECT_EQ(tile(h200, {1100, 64, 384}), static_cast<int>(ProductTile::tall));
  EXPECT_EQ(tile(h200, {1300, 64, 384}), static_cast<int>(ProductTile::square));
  EXPECT_EQ(tile(orin, {1000, 64, 384}), static_cast<int>(ProductTile::few));
  EXPECT_EQ(tile(h200, {3000, 64, 384}), -1) << "another size";
  EXPECT_EQ(tile(h200, {1000, 128, 384}), -1);
  EXPECT_EQ(tile(transposed, {1000, 64, 384}), -1) << "another kind";
  EXPECT_EQ(tile({80, 2}, {1000, 64, 384}), -1) << "a chip that nobody measured";
}

TEST(ProductCutter, OffersWholeDepthsAndParts) {
  const ProductCutter cutter({64, 64, 1000});
  const auto cuts = cutter.choices({ProductTile::small, ProductTile::few});
  ASSERT_EQ(cuts.size(), 6u);
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    EXPECT_EQ(cuts[i].tile, i < 3 ? ProductTile::small : ProductTile::few);
    EXPECT_EQ(cuts[i].parts, std::int64_t{1} << i % 3);
    EXPECT_GE(cuts[i].parts * cuts[i].depth, 1000);
    EXPECT_LT((cuts[i].parts - 1) * cuts[i].depth, 1000);
  }
}

TEST(CudaMatmul, GivesTheSameHoweverItIsCut) {
  constexpr std::int64_t kRows = 40, kColumns = 72, kDepth = 520;
  Stream& stream = device_under_test().stream();
  for (const bool transpose_b : {false, true}) {
    const TypedInput a(DType::f16, uniform_data<float>(kRows * kDepth, 1));
    const TypedInput b(DType::f16, uniform_data<float>(kColumns * kDepth, 2));
    Matmul args;
    args.m = kRows;
    args.n = kColumns;
    args.k = kDepth;
    args.transpose_b = transpose_b;
    args.a = a.host.data();
    args.b = b.host.data();
    const auto expected = run_reference<float>(args, &Matmul::c, kRows * kColumns);
    args.type = DType::f16;
    args.a = a.device.data();
    args.b = b.device.data();
    const CutChoices choices = cut_choices(args, stream);
    EXPECT_EQ(choices.cuts.size(), transpose_b ? 4u : 10u);
    EXPECT_NE(std::find(choices.cuts.begin(), choices.cuts.end(), choices.in_use), choices.cuts.end());
    for (const ProductCut& cut : choices.cuts) {
      DeviceBuffer<unsigned char> c(std::vector<unsigned char>(kRows * kColumns * 2, 0xFF));
      const DeviceBuffer<unsigned char> workspace(std::vector<unsigned char>(workspace_of(args, cut), 0xFF));
      args.c = c.data();
      EXPECT_EQ(run_cut(args, cut, {&stream, workspace.data()}), nullptr);
      EXPECT_TRUE(close_by_norm(from_bytes(DType::f16, c.values()), expected, 1e-3))
          << extent_of(cut.tile).name << " in " << cut.parts;
    }
  }
  Matmul plain;
  plain.m = plain.n = plain.k = 8;
  EXPECT_TRUE(cut_choices(plain, stream).cuts.empty()) << "no product of tensor cores";
}

}  // namespace
}  // namespace pila::test::product_cut_test
