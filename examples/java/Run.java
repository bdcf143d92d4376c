import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** Digits from Java through JNI: Run MODEL.fz IMAGES.npy. The native methods are in run_jni.c. */
public final class Run implements AutoCloseable {
    static {
        System.loadLibrary("run_jni");
    }

    private static final int IMAGES = 16, PIXELS = 64, CLASSES = 10;

    private long handle;

    Run(String path) {
        handle = open(path);
    }

    /** Runs the model on the floats in a direct buffer; fills SCORES, a direct buffer too. */
    void run(ByteBuffer images, ByteBuffer scores) {
        run(handle, images, new long[] {IMAGES, 1, 8, 8}, scores);
    }

    @Override
    public void close() {
        close(handle);
        handle = 0;
    }

    private static native long open(String path);
    private static native void close(long handle);
    private static native void run(long handle, ByteBuffer input, long[] dims, ByteBuffer output);
    private static native byte[] sha256(ByteBuffer data);

    private static ByteBuffer direct(int size) {
        return ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
    }

    private static ByteBuffer readImages(String path) throws Exception {
        byte[] file = Files.readAllBytes(Path.of(path));
        int start = 10 + (file[8] & 255) + 256 * (file[9] & 255);
        ByteBuffer images = direct(IMAGES * PIXELS * 4);
        images.put(file, start, images.capacity());
        return images;
    }

    private static int best(ByteBuffer scores, int row) {
        int at = 0;
        for (int i = 1; i < CLASSES; i++) {
            if (scores.getFloat(4 * (row * CLASSES + i))
                    > scores.getFloat(4 * (row * CLASSES + at))) {
                at = i;
            }
        }
        return at;
    }

    public static void main(String[] args) throws Exception {
        ByteBuffer scores = direct(IMAGES * CLASSES * 4);
        try (Run model = new Run(args[0])) {
            model.run(readImages(args[1]), scores);
        }
        StringBuilder text = new StringBuilder("digits");
        for (int row = 0; row < IMAGES; row++) {
            text.append(' ').append(best(scores, row));
        }
        text.append("\noutput ");
        for (byte b : sha256(scores)) {
            text.append(String.format("%02x", b));
        }
        System.out.println(text);
    }
}
