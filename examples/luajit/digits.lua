-- The digits from LuaJIT, whose FFI reads the C header itself:
--   luajit digits.lua FOLDER_OF_HEADERS LIBFROZEN.so MODEL.fz IMAGES.npy
local ffi = require('ffi')
local headers, library, model_path, images_path = unpack(arg)

-- The header includes only <stddef.h> and <stdint.h>, whose types LuaJIT has built in.
local declarations = assert(io.popen(
  "grep -v '^#include' '" .. headers .. "/frozen/frozen.h' | cpp -P"))
ffi.cdef(declarations:read('*a'))
declarations:close()
local fz = ffi.load(library)

local function check(status)
  if status ~= fz.FZ_OK then error(ffi.string(fz.fz_last_error()), 0) end
end

local function read_images(path, count)
  local file = assert(io.open(path, 'rb'))
  local bytes = file:read('*a')
  file:close()
  local start = 10 + bytes:byte(9) + 256 * bytes:byte(10)
  local images = ffi.new('float[?]', count)
  ffi.copy(images, bytes:sub(start + 1), count * 4)
  return images
end

local function best(row)
  local at = 0
  for i = 1, 9 do
    if row[i] > row[at] then at = i end
  end
  return at
end

local model, session = ffi.new('fz_model_t *[1]'), ffi.new('fz_session_t *[1]')
check(fz.fz_model_open(model_path, nil, model))
check(fz.fz_session_create(model[0], nil, session))
local images = read_images(images_path, 16 * 64)
local input = ffi.new('fz_tensor_t', {dtype = fz.FZ_TYPE_F32, rank = 4, dims = {16, 1, 8, 8},
                                      data = images, size = ffi.sizeof(images)})
local output = ffi.new('fz_tensor_t')
check(fz.fz_session_run(session[0], input, 1, output, 1))

local scores = ffi.cast('float *', output.data)
local digits, hex = {}, {}
for i = 0, 15 do digits[i + 1] = best(scores + 10 * i) end
local digest = ffi.new('uint8_t[32]')
check(fz.fz_sha256(output.data, output.size, digest))
for i = 0, 31 do hex[i + 1] = string.format('%02x', digest[i]) end
print(table.concat(digits, ' '))
print(table.concat(hex))
fz.fz_session_close(session[0])
fz.fz_model_close(model[0])
