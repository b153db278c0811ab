import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.Utils;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.backend.memory.MemoryDatabase;
import de.bwaldvogel.mongo.backend.memory.index.MemoryUniqueIndex;
import de.bwaldvogel.mongo.bson.Document;
import java.net.InetSocketAddress;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;

/** A MongoDB-wire server in memory, on the port named by the first argument, until its input ends. */
public class QuickMongo {
    public static void main(String[] arguments) throws Exception {
        MongoServer server = new MongoServer(new IndexingBackend());
        server.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        while (System.in.read() >= 0) {}
        server.shutdownNow();
    }

    static class IndexingBackend extends MemoryBackend {
        @Override
        public MemoryDatabase openOrCreateDatabase(String name) {
            return new IndexingDatabase(name, getCursorRegistry());
        }
    }

    /**
     * The library keeps unique indexes only, takes them only for queries by their keys and nothing else, and searches
     * everything for the rest, which no database does.
     */
    static class IndexingDatabase extends MemoryDatabase {
        private final Map<String, List<Postings>> indexes = new HashMap<>();

        IndexingDatabase(String name, CursorRegistry cursors) {
            super(name, cursors);
        }

        @Override
        protected Index<Integer> openOrCreateUniqueIndex(
                String collection, String name, List<IndexKey> keys, boolean sparse) {
            return new Unique(name, keys, sparse);
        }

        @Override
        protected Index<Integer> openOrCreateSecondaryIndex(
                String collection, String name, List<IndexKey> keys, boolean sparse) {
            List<Postings> all = indexes.computeIfAbsent(collection, unseen -> new CopyOnWriteArrayList<>());
            // Every process asks for its indexes when it comes, and the library passes over one that it has.
            return all.stream().filter(former -> former.getName().equals(name)).findFirst().orElseGet(() -> {
                Postings made = new Postings(name, keys, all);
                all.add(made);
                return made;
            });
        }
    }

    /** Finds by its own keys, whatever else is asked for: that is left to the matcher. */
    static class Unique extends MemoryUniqueIndex {
        Unique(String name, List<IndexKey> keys, boolean sparse) {
            super(name, keys, sparse);
        }

        @Override
        public synchronized boolean canHandle(Document query) {
            return super.canHandle(own(query));
        }

        @Override
        public synchronized Iterable<Integer> getPositions(Document query) {
            return super.getPositions(own(query));
        }

        private Document own(Document query) {
            Document found = new Document();
            keySet().stream().filter(query::containsKey).forEach(key -> found.put(key, query.get(key)));
            return found;
        }
    }

    /** Where each text of the first key is, one by one where it is an array; the other keys are left to the matcher. */
    static class Postings extends Index<Integer> {
        private final String key;
        private final List<Postings> all;
        private final Map<Object, TreeSet<Integer>> places = new HashMap<>();
        private final Map<Object, Integer> positions = new HashMap<>();

        Postings(String name, List<IndexKey> keys, List<Postings> all) {
            super(name, keys, true);
            key = keys.get(0).getKey();
            this.all = all;
        }

        /** The first index that can is taken, so only that with the fewest to look at says so. */
        @Override
        public boolean canHandle(Document query) {
            return fewest(query).filter(own -> all.stream().allMatch(
                    other -> other.fewest(query).map(found -> own.size() <= found.size()).orElse(true))).isPresent();
        }

        @Override
        public Iterable<Integer> getPositions(Document query) {
            return List.copyOf(fewest(query).orElseThrow());
        }

        private synchronized Optional<Set<Integer>> fewest(Document query) {
            return wanted(query).stream()
                    .map(value -> (Set<Integer>) places.getOrDefault(value, new TreeSet<>()))
                    .min(Comparator.comparingInt(Set::size));
        }

        @Override
        public synchronized void add(Document document, Integer position, MongoCollection<Integer> collection) {
            positions.put(document.get("_id"), position);
            for (Object value : texts(Utils.getSubdocumentValue(document, key))) {
                places.computeIfAbsent(value, unseen -> new TreeSet<>()).add(position);
            }
        }

        @Override
        public synchronized Integer remove(Document document) {
            Integer position = positions.remove(document.get("_id"));
            if (position != null) {
                forget(document, position);
            }
            return position;
        }

        @Override
        public synchronized void updateInPlace(
                Document former, Document present, Integer position, MongoCollection<Integer> collection) {
            forget(former, position);
            add(present, position, collection);
        }

        @Override
        public Integer getPosition(Document document) {
            return null;
        }

        @Override
        public void checkAdd(Document document, MongoCollection<Integer> collection) {}

        @Override
        public void checkUpdate(Document former, Document present, MongoCollection<Integer> collection) {}

        @Override
        public synchronized long getCount() {
            return positions.size();
        }

        @Override
        public long getDataSize() {
            return 0;
        }

        @Override
        public synchronized void drop() {
            places.clear();
            positions.clear();
        }

        private void forget(Document document, Integer position) {
            for (Object value : texts(Utils.getSubdocumentValue(document, key))) {
                Set<Integer> found = places.get(value);
                if (found != null) {
                    found.remove(position);
                    if (found.isEmpty()) {
                        places.remove(value);
                    }
                }
            }
        }

        /** The texts that a document must all have to answer the query; none if it asks for something else. */
        private Collection<?> wanted(Document query) {
            Object condition = query.get(key);
            if (condition instanceof Document) {
                Document operators = (Document) condition;
                return operators.keySet().equals(Set.of("$all")) ? texts(operators.get("$all")) : List.of();
            }
            return texts(condition);
        }

        private static Collection<?> texts(Object value) {
            Collection<?> all = value instanceof Collection ? (Collection<?>) value : List.of(String.valueOf(value));
            boolean plain = value instanceof String || value instanceof Collection;
            return plain && all.stream().allMatch(String.class::isInstance) ? all : List.of();
        }
    }
}
