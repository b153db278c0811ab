"""What others enforce, written from the one route table and the one role model: Istio's resources, Envoy's filters.

Pure but for the command line. The test suite walks every operation of every service through what is written here.
"""
