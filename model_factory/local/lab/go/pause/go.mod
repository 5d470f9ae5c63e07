module model-factory/lab/pause

go 1.25
