//! Digits from Rust, by rustc alone: run MODEL.fz IMAGES.npy

use std::ffi::{c_char, c_void, CStr, CString};
use std::ptr;

const IMAGES: usize = 16;
const PIXELS: usize = 64;
const CLASSES: usize = 10;
const F32: i32 = 1;

/// fz_tensor_t.
#[repr(C)]
struct Tensor {
    dtype: i32,
    rank: i32,
    dims: [i64; 12],
    data: *mut c_void,
    size: usize,
}

#[link(name = "frozen")]
extern "C" {
    fn fz_last_error() -> *const c_char;
    fn fz_model_open(path: *const c_char, options: *const c_void, out: *mut *mut c_void) -> i32;
    fn fz_model_close(model: *mut c_void);
    fn fz_session_create(model: *mut c_void, options: *const c_void, out: *mut *mut c_void) -> i32;
    fn fz_session_close(session: *mut c_void);
    fn fz_session_run(session: *mut c_void, inputs: *const Tensor, n_inputs: usize,
                      outputs: *mut Tensor, n_outputs: usize) -> i32;
    fn fz_sha256(data: *const c_void, size: usize, digest: *mut u8) -> i32;
}

/// Turns a status into a result with the library's message.
fn check(status: i32) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    // The message is valid until this thread's next failing call; it is copied at once.
    Err(unsafe { CStr::from_ptr(fz_last_error()) }.to_string_lossy().into_owned())
}

/// A model with one session; both end with it.
struct Model {
    model: *mut c_void,
    session: *mut c_void,
}

impl Model {
    fn open(path: &str) -> Result<Model, String> {
        let path = CString::new(path).map_err(|error| error.to_string())?;
        let mut it = Model { model: ptr::null_mut(), session: ptr::null_mut() };
        check(unsafe { fz_model_open(path.as_ptr(), ptr::null(), &mut it.model) })?;
        check(unsafe { fz_session_create(it.model, ptr::null(), &mut it.session) })?;
        Ok(it)
    }

    /// Runs the model on N images.
    fn run(&mut self, images: &[f32], n: usize) -> Result<Vec<f32>, String> {
        let mut dims = [0; 12];
        dims[..4].copy_from_slice(&[n as i64, 1, 8, 8]);
        // The library only reads inputs.
        let input = Tensor { dtype: F32, rank: 4, dims, data: images.as_ptr() as *mut c_void,
                             size: images.len() * 4 };
        let mut scores = vec![0f32; n * CLASSES];
        let data = scores.as_mut_ptr() as *mut c_void;
        let mut output = Tensor { dtype: 0, rank: 0, dims: [0; 12], data, size: scores.len() * 4 };
        check(unsafe { fz_session_run(self.session, &input, 1, &mut output, 1) })?;
        Ok(scores)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        unsafe {
            fz_session_close(self.session);
            fz_model_close(self.model);
        }
    }
}

/// The first images of an .npy file.
fn read_images(path: &str) -> Result<Vec<f32>, String> {
    let file = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let start = match file.get(8..10) {
        Some(length) => 10 + length[0] as usize + 256 * length[1] as usize,
        None => 10,
    };
    let bytes = file.get(start..start + IMAGES * PIXELS * 4).ok_or("too few images")?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn best(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |at, i| if row[i] > row[at] { i } else { at })
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 3 {
        return Err("usage: run MODEL.fz IMAGES.npy".into());
    }
    let images = read_images(&arguments[2])?;
    let scores = Model::open(&arguments[1])?.run(&images, IMAGES)?;
    let digits: Vec<String> = scores.chunks(CLASSES).map(|row| best(row).to_string()).collect();
    let mut digest = [0u8; 32];
    let data = scores.as_ptr() as *const c_void;
    check(unsafe { fz_sha256(data, scores.len() * 4, digest.as_mut_ptr()) })?;
    println!("digits {}", digits.join(" "));
    println!("output {}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    Ok(())
}
