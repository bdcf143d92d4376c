// The C interface under owners of C++: run MODEL.fz IMAGES.npy
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <frozen/frozen.h>

static void check(fz_status_t status) {
    if (status != FZ_OK)
        throw std::runtime_error(std::string(fz_status_name(status)) + ": " + fz_last_error());
}

struct Close {
    void operator()(fz_model_t *model) const { fz_model_close(model); }
    void operator()(fz_session_t *session) const { fz_session_close(session); }
};

class Model {
public:
    explicit Model(const std::string &path) {
        fz_model_t *model = nullptr;
        check(fz_model_open(path.c_str(), nullptr, &model));
        model_.reset(model);
        fz_session_t *session = nullptr;
        check(fz_session_create(model, nullptr, &session));
        session_.reset(session);
    }

    // Runs a model of one float input and takes its first output, which is floats too.
    std::vector<float> run(std::vector<float> &x, const std::vector<int64_t> &dims) {
        if (dims.size() > FZ_RANK_MAX) throw std::length_error("too many dimensions");
        fz_tensor_t input = {}, output = {};
        input.dtype = FZ_TYPE_F32;
        input.rank = static_cast<int32_t>(dims.size());
        std::copy(dims.begin(), dims.end(), input.dims);
        input.data = x.data();
        input.size = x.size() * sizeof(float);
        check(fz_session_run(session_.get(), &input, 1, &output, 1));
        const float *first = static_cast<const float *>(output.data);
        return {first, first + output.size / sizeof(float)};
    }

private:
    std::unique_ptr<fz_model_t, Close> model_; // outlives the session: members end in reverse order
    std::unique_ptr<fz_session_t, Close> session_;
};

// The first floats of an .npy file; its bytes 8 and 9 are the length of the header behind them.
static std::vector<float> read_floats(const std::string &path, std::size_t n) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::size_t start = bytes.size() < 10 ? bytes.size()
                                          : 10 + static_cast<unsigned char>(bytes[8]) +
                                                256 * static_cast<unsigned char>(bytes[9]);
    if (bytes.size() < start + n * sizeof(float)) throw std::runtime_error("can't read " + path);
    std::vector<float> floats(n);
    std::copy_n(bytes.data() + start, n * sizeof(float), reinterpret_cast<char *>(floats.data()));
    return floats;
}

int main(int argc, char **argv) try {
    if (argc != 3) return std::fprintf(stderr, "usage: run MODEL.fz IMAGES.npy\n"), 2;
    std::vector<float> images = read_floats(argv[2], 16 * 64);
    std::vector<float> scores = Model(argv[1]).run(images, {16, 1, 8, 8});
    std::printf("digits");
    for (auto row = scores.begin(); row != scores.end(); row += 10)
        std::printf(" %d", static_cast<int>(std::max_element(row, row + 10) - row));
    std::uint8_t digest[32];
    check(fz_sha256(scores.data(), scores.size() * sizeof(float), digest));
    std::printf("\noutput ");
    for (int byte : digest) std::printf("%02x", static_cast<unsigned>(byte));
    std::printf("\n");
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
