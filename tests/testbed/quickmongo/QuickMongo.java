import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;

/** A MongoDB-wire server in memory, on the port named by the first argument, until its input ends. */
public class QuickMongo {
    public static void main(String[] arguments) throws Exception {
        MongoServer server = new MongoServer(new MemoryBackend());
        server.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        while (System.in.read() >= 0) {}
        server.shutdownNow();
    }
}
