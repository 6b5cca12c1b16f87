package millstream.peers;

import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** How Flink is set: one process that is job manager and task manager, with as many slots as shards. */
public final class Settings {
    private Settings() {}

    /** Without checkpoints where the interval is 0. */
    public static Configuration configuration(int shards, long checkpointIntervalMs, Options options) {
        Configuration configuration = new Configuration();
        configuration.setString("taskmanager.numberOfTaskSlots", Integer.toString(shards));
        configuration.setString("state.backend.type", "hashmap");
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("execution.runtime-mode", "streaming");
        if (checkpointIntervalMs > 0) {
            Path dir = Path.of(options.text("dir", System.getProperty("java.io.tmpdir")), "flink-checkpoints");
            configuration.setString("execution.checkpointing.dir", dir.toUri().toString());
            configuration.setString("execution.checkpointing.interval", checkpointIntervalMs + " ms");
            configuration.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
            // One at the end of the input would be waited for.
            configuration.setString("execution.checkpointing.checkpoints-after-tasks-finish.enabled", "false");
        }
        return configuration;
    }

    public static StreamExecutionEnvironment environment(int shards, long checkpointIntervalMs, Options options) {
        Configuration configuration = configuration(shards, checkpointIntervalMs, options);
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(shards, configuration);
        environment.configure(configuration);
        return environment;
    }

    public static String version() {
        return EnvironmentInformation.getVersion();
    }
}
