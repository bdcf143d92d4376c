-- Digits from LuaJIT, whose FFI reads the installed C header as it is:
--   luajit run.lua MODEL.fz IMAGES.npy [FROZEN.H]
local ffi = require('ffi')
local model_path, images_path = arg[1], arg[2]
local header = arg[3] or '/usr/local/include/frozen/frozen.h'

local function read_file(path)
  local file = assert(io.open(path, 'rb'))
  local bytes = file:read('*a')
  file:close()
  return bytes
end

-- What the preprocessor would do to frozen.h: drop what is for C++, put in the numbers of
-- '#define NAME NUMBER', drop every other directive and the mark of exported functions.
local function declarations(text)
  local numbers = {}
  text = text:gsub('#ifdef __cplusplus.-#endif', '')
  for name, number in text:gmatch('#define%s+([%w_]+)%s+(%d+)%f[%s]') do numbers[name] = number end
  text = ('\n' .. text):gsub('\n%s*#[^\n]*', '\n')
  return (text:gsub('[%a_][%w_]*', function(word)
    return word == 'FZ_API' and '' or numbers[word]
  end))
end

ffi.cdef(declarations(read_file(header)))
local fz = ffi.load('frozen')

local function check(status)
  if status ~= fz.FZ_OK then error(ffi.string(fz.fz_last_error()), 0) end
end

local function read_images(path, count)
  local bytes = read_file(path)
  local start = 10 + bytes:byte(9) + 256 * bytes:byte(10)
  assert(#bytes >= start + 4 * count, 'too few images')
  local images = ffi.new('float[?]', count)
  ffi.copy(images, bytes:sub(start + 1, start + 4 * count), 4 * count)
  return images
end

local function best(row)
  local at = 0
  for i = 1, 9 do
    if row[i] > row[at] then at = i end
  end
  return at
end

local slot = ffi.new('fz_model_t *[1]')
check(fz.fz_model_open(model_path, nil, slot))
local model = slot[0]
slot = ffi.new('fz_session_t *[1]')
check(fz.fz_session_create(model, nil, slot))
local session = slot[0]

local images = read_images(images_path, 16 * 64)
local input = ffi.new('fz_tensor_t', {
  dtype = fz.FZ_TYPE_F32, rank = 4, dims = {16, 1, 8, 8}, data = images, size = ffi.sizeof(images),
})
local output = ffi.new('fz_tensor_t')
check(fz.fz_session_run(session, input, 1, output, 1))

local scores = ffi.cast('float *', output.data)
local digest = ffi.new('uint8_t[32]')
check(fz.fz_sha256(output.data, output.size, digest))
local digits, hex = {}, {}
for i = 0, 15 do digits[i + 1] = best(scores + 10 * i) end
for i = 0, 31 do hex[i + 1] = string.format('%02x', digest[i]) end
print('digits ' .. table.concat(digits, ' '))
print('output ' .. table.concat(hex))
fz.fz_session_close(session)
fz.fz_model_close(model)
