package tributary.peer;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.Cache;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/**
 * One budget for the memory of all stores, as Kafka Streams' guide to memory advises: otherwise each of the stores of each
 * partition takes its own. Tables in memory are so small that those of all stores of a few partitions fit: else a store that is
 * written flushes its own again and again, while others' fill the budget. Blocks keep their size, for rows are read one by one.
 */
public final class BoundedRocksDb implements RocksDBConfigSetter {
    private static final long TOTAL = 512L << 20;
    private static final long WRITE_BUFFERS = 256L << 20;
    private static final long TABLE = 4L << 20;
    private static final int TABLES = 2;
    private static final double INDEX_AND_FILTERS = 0.1;

    private static final Cache CACHE = new LRUCache(TOTAL, -1, false, INDEX_AND_FILTERS);
    private static final WriteBufferManager BUFFERS = new WriteBufferManager(WRITE_BUFFERS, CACHE);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE);
        table.setCacheIndexAndFilterBlocks(true);
        table.setCacheIndexAndFilterBlocksWithHighPriority(true);
        table.setPinTopLevelIndexAndFilter(true);
        options.setWriteBufferManager(BUFFERS);
        options.setTableFormatConfig(table);
        options.setWriteBufferSize(TABLE);
        options.setMaxWriteBufferNumber(TABLES);
    }

    @Override
    public void close(String store, Options options) {
        // Cache and buffers are shared by all stores, and live as long as the process.
    }
}
