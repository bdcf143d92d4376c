import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** The digits from Java through JNI: Digits MODEL.fz IMAGES.npy */
public final class Digits implements AutoCloseable {
    static {
        System.loadLibrary("frozen_jni");
    }

    private static final int IMAGES = 16, PIXELS = 64, CLASSES = 10;

    private long model;

    Digits(String path) {
        model = open(path);
    }

    /** Runs the model on the images in a direct buffer; fills SCORES, a direct buffer too. */
    void run(ByteBuffer images, ByteBuffer scores) {
        run(model, images, new long[] {IMAGES, 1, 8, 8}, scores);
    }

    @Override
    public void close() {
        close(model);
        model = 0;
    }

    private static native long open(String path);
    private static native void close(long model);
    private static native void run(long model, ByteBuffer input, long[] dims, ByteBuffer output);
    private static native byte[] sha256(ByteBuffer data);

    private static ByteBuffer direct(int size) {
        return ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
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
        byte[] file = Files.readAllBytes(Path.of(args[1]));
        int start = 10 + (file[8] & 255) + 256 * (file[9] & 255);
        ByteBuffer images = direct(IMAGES * PIXELS * 4);
        images.put(file, start, images.capacity());
        ByteBuffer scores = direct(IMAGES * CLASSES * 4);
        try (Digits digits = new Digits(args[0])) {
            digits.run(images, scores);
        }
        StringBuilder text = new StringBuilder();
        for (int row = 0; row < IMAGES; row++) {
            text.append(best(scores, row)).append(' ');
        }
        text.append('\n');
        for (byte b : sha256(scores)) {
            text.append(String.format("%02x", b));
        }
        System.out.println(text);
    }
}
